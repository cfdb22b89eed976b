/* Why an ACRN file is refused. */
#include "import.h"

#include <stdio.h>

static const struct {
    const char *id, *title;
} mistakes[MISTAKE_COUNT] = {
    [WRONG_ROOT] = {"ACRN-001",
                    "The file is an ACRN board (with <processors>, <devices> or <PCI_DEVICE>) or an "
                    "ACRN scenario (with <hv> and <vm>), in its place on the command line."},
    [WRONG_VALUE] = {"ACRN-002", "A number is written decimal or 0x hexadecimal and fits its field."},
    [BOARD_LACKS] = {"ACRN-003",
                     "The board file shows what no machine can do without: CPUs, RAM, an I/O APIC, a "
                     "serial port with I/O ports."},
    [VM_NAME_TWICE] = {"ACRN-004", "VM names are unique."},
    [VM_ID_TWICE] = {"ACRN-005", "VM ids are unique."},
    [VM_KIND] = {"ACRN-006", "A VM's <load_order> (v2.7: <vm_type>) is a known one."},
    [SERVICE_TWICE] = {"ACRN-007", "There is at most one service VM."},
    [NO_SERVICE] = {"ACRN-008", "Post-launched VMs need a service VM, which starts them."},
    [VM_CPU] = {"ACRN-009", "The CPUs of a VM exist on the board."},
    [VM_CPU_TWICE] = {"ACRN-010",
                      "A CPU of a pre-launched VM belongs to no other VM, and no VM lists a CPU twice."},
    [VM_NO_CPU] = {"ACRN-011", "A VM has a CPU that it can use."},
    [VM_MEMORY] = {"ACRN-012", "A pre-launched VM's memory is given in whole pages."},
    [VM_KERNEL] = {"ACRN-013", "Pre-launched VMs and the service VM name a kernel of a known kind."},
    [VM_DEVICE] = {"ACRN-014", "Passed-through PCI devices exist on the board and are not bridges."},
    [VM_DEVICE_TWICE] = {"ACRN-015", "A PCI device is passed to one pre-launched VM at most."},
    [CONSOLE_LACKS] = {"ACRN-016", "The serial console is a port of the board."},
    [LINK_ENDS] = {"ACRN-017", "A vUART connection joins two ends in different VMs."},
    [LINK_VM] = {"ACRN-018", "The VMs that a vUART connection joins exist."},
    [LINK_PORT] = {"ACRN-019",
                   "A vUART at an end of a connection is used by no other connection and no console."},
    [SHM_FORM] = {"ACRN-020", "A shared memory region has a name, a size and two VMs or more."},
    [SHM_VM] = {"ACRN-021", "The VMs of a shared memory region exist and are listed once."},
    [CACHE_FORM] = {"ACRN-022", "A cache mask is a number and not empty."},
    [CACHE_VM] = {"ACRN-023", "The VMs of a cache policy exist."},
    [IRQ_FORM] = {"ACRN-024", "A passed-through interrupt is written as (physical GSI, virtual GSI)."},
};

const char *mistake_id(enum mistake which)
{
    return mistakes[which].id;
}

void mistakes_list(void)
{
    for (size_t i = 0; i < MISTAKE_COUNT; i++)
        printf("%-9s error    %s\n", mistakes[i].id, mistakes[i].title);
}
