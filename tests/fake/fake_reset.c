/* fake_reset(): all parts of the fake machine that are linked. */
#include <fake.h>

/* Weak references: a part that the test replaced by real code, or does not use, is not linked and not reset.
 */
extern void fake_reset_arch(void) FAKE;
extern void fake_reset_s2(void) FAKE;
extern void fake_reset_vcpu(void) FAKE;
extern void fake_reset_run(void) FAKE;
extern void fake_reset_platform(void) FAKE;
extern void fake_reset_log(void) FAKE;
extern void fake_reset_cfg(void) FAKE;
extern void fake_reset_ioreq(void) FAKE;
extern void fake_reset_apic(void) FAKE;

void fake_reset(void)
{
    void (*const parts[])(void) = {fake_reset_arch, fake_reset_s2,       fake_reset_vcpu,
                                   fake_reset_run,  fake_reset_platform, fake_reset_log,
                                   fake_reset_cfg,  fake_reset_ioreq,    fake_reset_apic};

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        if (parts[i])
            parts[i]();
}
