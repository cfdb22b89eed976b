/* Placement: completes a model that all rules have accepted. The same input always gives the same result. */
#ifndef BHC_PLACE_H
#define BHC_PLACE_H

#include "model.h"

/* False after diagnostics of rules with SCOPE_PLACING. */
bool place(struct config *c);

#endif
