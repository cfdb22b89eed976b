/* Random calls from a service VM that has read the manual just well enough to be dangerous. */
#include <arch/s2.h>
#include "hcall_test.h"

static u64 seed;

static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Mostly what could be right, sometimes anything. */
static u64 some_addr(void)
{
    static const u64 addrs[] = {PARAM,     UVM_RAM,    RAM_END - 0x1000, HOLE,       CFG_HV_BASE,
                                0x4000000, 0xfee00000, REQ_PAGE,         0x15000000, 0};

    return rnd() % 8 == 0 ? rnd() : addrs[rnd() % ARRAY_SIZE(addrs)] + (rnd() % 4 ? 0 : rnd() % 0x3000);
}

static void some_struct(void)
{
    u64 *word = (u64 *)(void *)fake_mem(PARAM);

    for (unsigned i = 0; i < 40; i++)
        word[i] = rnd() % 3 ? rnd() % 6 : some_addr();
    if (rnd() % 2)
        memcpy(fake_mem(PARAM + 8), slot(ID_U1 + (unsigned)(rnd() % 4))->cfg->key_bytes, 16);
}

/* Nothing that a user VM can reach is anything but the service VM's RAM, and its shared memory as configured.
 */
static void memory_is_the_service_vms(void)
{
    for (unsigned id = ID_U1; id <= ID_RT; id++) {
        for (unsigned i = 0; i < FAKE_S2_MAPPINGS; i++) {
            const struct fake_s2 *m = &fake_s2[slot(id)->id][i];
            bool inside = m->size == 0;

            for (unsigned k = 0; k < svc->cfg->mem_count; k++) {
                const struct cfg_mem *ram = &svc->cfg->mem[k];

                inside |= m->hpa >= ram->hpa && m->hpa + m->size <= ram->hpa + ram->size;
            }
            for (unsigned k = 0; k < slot(id)->cfg->shm_count; k++) {
                const struct cfg_shm_view *w = &slot(id)->cfg->shms[k];

                inside |= m->gpa == w->gpa && m->hpa == cfg_shms[w->shm].hpa &&
                          m->size == cfg_shms[w->shm].size && m->prot == MEM_R;
            }
            ck_assert_msg(inside, "vm %u reaches %llx+%llx", id, (unsigned long long)m->hpa,
                          (unsigned long long)m->size);
        }
    }
}

START_TEST(random_calls_reach_nothing_that_is_not_the_service_vms)
{
    unsigned answered = 0, worked = 0;

    seed = 0x9e3779b97f4a7c15ULL * ((unsigned)_i + 1);
    set_flavour(_i % 2 ? HCALL_ABI_HSM : HCALL_ABI_V1);
    for (unsigned n = 0; n < 3000; n++) {
        u32 low = (u32)(rnd() % 0x90);
        u64 rdi = rnd() % 3 ? rnd() % 6 : some_addr();

        /* Life and death more often than the rest. */
        if (rnd() % 4 == 0)
            low = 0x10 + (u32)(rnd() % 7);
        if (low == 0x42 || low == 0x10)
            rdi = PARAM;
        some_struct();
        worked += hc(HC_ID(low), rdi, rnd() % 2 ? PARAM : some_addr()) == 0;
        answered++;
        fake_run_others();
        if (n % 64 == 0)
            memory_is_the_service_vms();
    }
    memory_is_the_service_vms();
    ck_assert_uint_eq(answered, 3000);
    ck_assert_uint_gt(worked, 40);
    for (u32 i = 0; i < FAKE_SERVICE; i++) {
        ck_assert_uint_eq(vms[i].state, VM_STATE_OFF);
        ck_assert_uint_eq(fake_vms[i].resets, 0);
    }
    ck_assert_uint_eq(svc->state, VM_STATE_STARTED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hcall-fuzz");
    TCase *c = tcase_create("fuzz");

    tcase_add_checked_fixture(c, hcall_setup, NULL);
    tcase_add_loop_test(c, random_calls_reach_nothing_that_is_not_the_service_vms, 0, 6);
    tcase_set_timeout(c, 100);
    suite_add_tcase(s, c);
    return run_suite(s);
}
