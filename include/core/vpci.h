/* Virtual PCI configuration space, reached by ports 0xCF8/0xCFC: for now a host bridge at 00:00.0. */
#ifndef BH_CORE_VPCI_H
#define BH_CORE_VPCI_H

struct vm;

void vpci_init(struct vm *vm);
void vpci_reset(struct vm *vm);

#endif
