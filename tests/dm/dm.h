/*
 * The device model of the tests and demonstrations: what its parts share. It runs in the service VM's Linux,
 * makes one user VM out of a hypervisor slot through /dev/acrn_hsm (<linux/acrn.h>) and emulates the few
 * devices that a Linux kernel wants: a 16550, a CMOS clock, PM1 registers with a PM timer, and a PCI host
 * bridge.
 *
 * Two threads: the I/O thread waits for requests and serves them; the main thread looks after the console,
 * the control socket, timers and the VM's life. Device state is touched under struct vm's lock alone.
 */
#ifndef DM_H
#define DM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acpi.h"
#include "load.h"
#include "options.h"
#include "pit.h"
#include "pm.h"
#include "ring.h"
#include "rtc.h"
#include "uart.h"

/* Interrupt lines (GSI) of the user VM's virtual IOAPIC. */
enum { GSI_COM1 = 4, GSI_RTC = 8, GSI_SCI = 9 };

enum vm_state { VM_OFF, VM_RUNNING, VM_PAUSED };

/* What the guest asked for by its PM or reset registers; the main thread carries it out. */
enum vm_wish { WISH_NONE, WISH_POWER_OFF, WISH_RESET };

struct vm {
    struct options options;
    int hsm; /* the open /dev/acrn_hsm, or -1 */
    enum vm_state state;
    unsigned vmid;
    unsigned vcpu_count;
    struct guest_mem memory;
    struct acrn_io_request_buffer *requests;

    pthread_mutex_t lock; /* protects the devices, the rings and wish */
    struct uart uart;
    struct rtc rtc;
    struct pm pm;
    struct pit pit;
    uint8_t host_bridge[256];
    struct ring output; /* console bytes from the guest */
    struct ring input;  /* console bytes to the guest */
    enum vm_wish wish;
    uint64_t served; /* I/O requests since the VM was created */

    pthread_t io_thread;
    bool io_running;
    int io_stop;    /* atomic: the I/O thread must end */
    int io_stopped; /* atomic: it has */
    int wake;       /* eventfd: tells the main thread that output or a wish is there */
};

/* vm.c: each returns 0, or -1 after saying on stderr what failed. */
int vm_create(struct vm *vm);  /* off -> running */
int vm_pause(struct vm *vm);   /* running -> paused; already paused is fine */
int vm_reset(struct vm *vm);   /* running or paused -> running, from the kernel's entry */
int vm_destroy(struct vm *vm); /* any -> off; gives everything back */
/* Moves bytes that wait for the guest into its UART. Takes the lock. */
void vm_feed_input(struct vm *vm);
const char *vm_state_name(const struct vm *vm);

/* requests.c: serves one request of the VM under its lock; the result is in the slot afterwards. */
struct acrn_io_request;
void serve_request(struct vm *vm, struct acrn_io_request *request);
/* Puts the devices into their power-on state. Takes no lock. */
void reset_devices(struct vm *vm);

/* An interrupt line as the devices see it: level, told to the hypervisor when it changes. opaque is struct
 * vm. */
void vm_set_com1(void *opaque, bool level);
void vm_set_rtc(void *opaque, bool level);

/* main.c and control.c: one command line of the control channel; writes the answer, which ends with a
 * newline. */
enum control_result { CONTROL_GO_ON, CONTROL_QUIT };
enum control_result control_command(struct vm *vm, const char *line, char *answer, size_t size);

/* client.c: the program as a client of a running device model. Exit status. */
int client_attach(const char *path);
int client_send(const char *path, const char *command);

/* Says "dm: ..." on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
