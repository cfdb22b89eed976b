#include "console_test.h"

struct vm *a, *b, *c;

void start_console(bool mux)
{
    core_setup_mux(mux);
    a = &vms[0];
    b = &vms[1];
    c = &vms[2];
    vms_autostart();
    vm_control(c, VM_WANT_START);
    run_all();
    loglevel = LOG_ERROR;
    fake_set_cpu(0);
    console_start();
    run_cpu(0);
    for (unsigned i = 0; i < 20; i++) {
        pass_time(1000000);
        run_all();
    }
    fake_out_len = 0;
    fake_out[0] = 0;
    memset(fake_kicks, 0, sizeof(fake_kicks));
}

void run_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        pass_time(1000000);
        run_all();
    }
    fake_set_cpu(0);
}

unsigned vm_says(struct vm *vm, const char *s)
{
    unsigned n = 0;

    fake_set_cpu(vm->vcpus[0].pcpu);
    for (; *s && console_vm_putc(vm, (u8)*s); s++)
        n++;
    return n;
}

void type(const char *s)
{
    fake_console_type(s, strlen(s));
    fake_set_cpu(0);
    cpu_request(0, CPU_REQ_CONSOLE);
    run_all();
}

const char *guest_reads(struct vm *vm)
{
    static char got[4096];
    unsigned n = 0;

    while (io_port_read(&vm->vcpus[0], 0x3f8 + 5, 1) & 1)
        got[n++] = (char)io_port_read(&vm->vcpus[0], 0x3f8, 1);
    got[n] = 0;
    return got;
}
