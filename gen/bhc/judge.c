#include "judge.h"

#include "place.h"
#include "read.h"
#include "rules.h"

bool judge(const struct source *board, const struct source *scenario, struct config *c)
{
    bool board_ok = board->doc && schema_validate(board->schema, board->doc, board->path) &&
                    read_board(board->doc, board->path, &c->board);
    bool scenario_ok = scenario->doc && schema_validate(scenario->schema, scenario->doc, scenario->path) &&
                       read_scenario(scenario->doc, scenario->path, &c->scenario);

    xmlFreeDoc(board->doc);
    xmlFreeDoc(scenario->doc);
    if (board_ok && scenario_ok)
        complete(c);
    if (board_ok)
        rules_run(SCOPE_BOARD, c);
    if (scenario_ok)
        rules_run(SCOPE_SCENARIO, c);
    if (board_ok && scenario_ok)
        rules_run(SCOPE_BOTH, c);
    return diag_count(SEV_ERROR) == 0 && place(c);
}
