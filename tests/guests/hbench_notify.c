/*
 * Requests in notification mode, many, and nothing else: the runner divides what the hypervisor's account of
 * exits says about both CPUs by their number. The service VM's CPU spins, so that the upcall is an exit.
 */
#include "hc.h"

#define REQUESTS 5000

static const u8 key_notify[16] = "notify0";
static struct uvm vm = {.base = 8};
static volatile u32 user_done;

static void user_requests(void)
{
    for (int i = 0; i < REQUESTS; i++)
        inb(0x500);
    user_done = 1;
}

void guest_main(void)
{
    u32 seen = 0;

    service_init();
    uvm_make(&vm, key_notify, 0, 1, user_requests);
    uvm_start(&vm);
    sti();
    while (!user_done) {
        if (upcalls != seen) {
            seen = upcalls;
            uvm_serve(&vm);
        }
        pause();
    }
    cli();
    printf("notify requests %u upcalls %u\n", vm.served, upcalls);
    printf("bench done\n");
}
