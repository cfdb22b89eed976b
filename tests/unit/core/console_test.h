/* What the tests of src/core/console.c share. VM "a" is channel '1', its console vUART at 0x3f8. */
#ifndef BH_TEST_CONSOLE_TEST_H
#define BH_TEST_CONSOLE_TEST_H

#include <stdio.h>
#include <core/console.h>
#include <core/vuart.h>
#include <lib/log.h>
#include "../../../src/core/core_impl.h"
#include "core_test.h"

extern struct vm *a, *b, *c;

/* Boots the fake machine with all VMs and an idle console; nothing sent yet. */
void start_console(bool mux);
/* Lets `ms` milliseconds pass with every CPU doing its work. */
void run_ms(unsigned ms);
/* A guest of the VM writes to its console; returns how many bytes were taken. */
unsigned vm_says(struct vm *vm, const char *s);
/* Bytes arrive on the wire. */
void type(const char *s);
/* What the guest of the VM reads from its vUART. */
const char *guest_reads(struct vm *vm);

#endif
