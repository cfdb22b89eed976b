/* An ACRN board file as a whole. */
#include "import.h"

#include <string.h>

static bool is_board(const xmlNode *root)
{
    return strcmp(name_of(root), "acrn-config") == 0 &&
           (child(root, "processors") || child(root, "PCI_DEVICE") || child(root, "IOMEM_INFO") ||
            child(root, "devices"));
}

void import_board(xmlDocPtr doc, const char *name, struct board *b)
{
    xmlNode *root = xmlDocGetRootElement(doc);
    const char *board;

    mark_read(root);
    if (!is_board(root)) {
        MISTAKE(
            WRONG_ROOT, at_node(root),
            "the file is no ACRN board file: it begins with <%s> and has none of <processors>, <devices>, "
            "<PCI_DEVICE>%s; give the file that ACRN's board inspector wrote",
            shown(name_of(root)), child(root, "hv") ? " (it is a scenario)" : "");
        return;
    }
    b->at = at_node(root);
    b->name = name;
    board = attribute(root, "board");
    if (board && strcmp(file_name_from(board), name) != 0)
        guessed(b->at, "the file calls its board '%s'; the name '%s' was taken from the file's name",
                shown(board), name);
    import_cpus(root, b);
    import_memory(root, b);
    import_platform(root, b);
    import_power(root, b);
    import_uarts(root, b);
    import_pci(root, b);
    import_iommus(root, b);
}
