/* What guests see of CPUID and MSRs. The imitated host claims every feature there is. */
#include "gt.h"

static u32 eax, ebx, ecx, edx;

static void cpuid_on(struct vcpu *v, u32 leaf, u32 subleaf)
{
    u64 *g = v->regs->gpr;

    g[GPR_RAX] = leaf | 0xdead00000000;
    g[GPR_RCX] = subleaf | 0xdead00000000;
    g[GPR_RBX] = g[GPR_RDX] = ~0ull;
    guest_cpuid(v);
    ck_assert_uint_eq((g[GPR_RAX] | g[GPR_RBX] | g[GPR_RCX] | g[GPR_RDX]) >> 32, 0);
    eax = (u32)g[GPR_RAX];
    ebx = (u32)g[GPR_RBX];
    ecx = (u32)g[GPR_RCX];
    edx = (u32)g[GPR_RDX];
}

static void id(u32 leaf, u32 subleaf)
{
    cpuid_on(gt_v, leaf, subleaf);
}

#define ZERO()           ck_assert_uint_eq(eax | ebx | ecx | edx, 0)
#define SHOWN(reg, bit)  ck_assert_msg((reg)&BIT32(bit), #reg " bit %d is hidden", bit)
#define HIDDEN(reg, bit) ck_assert_msg(!((reg)&BIT32(bit)), #reg " bit %d is shown", bit)

static void hidden(u32 reg, const char *name, const int *bits)
{
    for (; *bits >= 0; bits++)
        ck_assert_msg(!(reg & BIT32(*bits)), "%s bit %d is shown", name, *bits);
}
#define HIDE(reg, ...) hidden(reg, #reg, (const int[]){__VA_ARGS__, -1})

START_TEST(vendor_passes_and_highest_leaves_are_capped)
{
    id(0, 0);
    ck_assert_uint_eq(eax, 0xd);
    ck_assert_uint_eq(ebx, 0x68747541);
    ck_assert_uint_eq(edx, 0x69746e65);
    id(0x80000000, 0);
    ck_assert_uint_eq(eax, 0x8000001e);
}
END_TEST

START_TEST(leaves_beyond_the_highest_and_between_ranges_are_zero)
{
    static const u32 leaves[] = {0xe,        0x10,       0x1f,       0x20,       0x21,       0x1000,
                                 0x3fffffff, 0x40000002, 0x4000000f, 0x40000011, 0x4000001f, 0x40000020,
                                 0x40000100, 0x7fffffff, 0x8000001f, 0x80000020, 0x80000100, 0x80860000,
                                 0xc0000000, 0xc0000001, 0xffffffff, 0x3,        0x5,        0xa,
                                 0x8000000a, 0x80000009, 0x80000010, 0x8000001b, 0x8000001c};

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        id(leaves[i], 0);
        ck_assert_msg((eax | ebx | ecx | edx) == 0, "leaf %x is not zero", leaves[i]);
    }
}
END_TEST

START_TEST(leaf_1_hides_what_is_not_virtualised)
{
    id(1, 0);
    HIDE(ecx, 2, 3, 4, 5, 6, 7, 8, 10, 11, 14, 15, 16, 17, 18);
    HIDE(edx, 10, 18, 20, 21, 22, 29, 30, 31);
    SHOWN(ecx, 21); /* x2APIC */
    SHOWN(ecx, 24); /* TSC deadline */
    SHOWN(ecx, 31); /* hypervisor */
    SHOWN(edx, 9);
    SHOWN(edx, 28);
    ck_assert_uint_eq((ebx >> 16) & 0xff, 2); /* logical processors */
}
END_TEST

START_TEST(apic_ids_are_those_of_the_vcpu_everywhere)
{
    static const u32 ids[] = {0, 6}; /* the second has its CPU's, as a vCPU made with an affinity */

    for (u32 n = 0; n < 2; n++) {
        vcpus[n].apic_id = ids[n];
        cpuid_on(&vcpus[n], 1, 0);
        ck_assert_uint_eq(ebx >> 24, ids[n]);
        cpuid_on(&vcpus[n], 0xb, 0);
        ck_assert_uint_eq(edx, ids[n]);
        cpuid_on(&vcpus[n], 0xb, 1);
        ck_assert_uint_eq(edx, ids[n]);
        cpuid_on(&vcpus[n], 0x8000001e, 0);
        ck_assert_uint_eq(eax, ids[n]);
        ck_assert_uint_eq(ebx, ids[n]);
        ck_assert_uint_eq(ecx, 0);
    }
}
END_TEST

START_TEST(topology_is_one_package_of_single_thread_cores)
{
    id(0xb, 0);
    ck_assert_uint_eq(eax, 0);
    ck_assert_uint_eq(ebx, 1);
    ck_assert_uint_eq(ecx, 0x100);
    id(0xb, 1);
    ck_assert_uint_eq(eax, 1); /* two vCPUs take one bit */
    ck_assert_uint_eq(ebx, 2);
    ck_assert_uint_eq(ecx, 0x201);
    id(0xb, 5);
    ck_assert_uint_eq(eax | ebx, 0);
    ck_assert_uint_eq(ecx, 5);
    id(0x80000008, 0);
    ck_assert_uint_eq(ecx, 1u << 12 | 1);
    id(0x8000001d, 0);
    ck_assert_uint_eq((eax >> 14) & 0xfff, 0);
    id(0x8000001d, 3);
    ck_assert_uint_eq((eax >> 14) & 0xfff, 1); /* both share the third level */
    id(0x8000001d, 4);
    ZERO();
}
END_TEST

START_TEST(osxsave_and_apic_follow_the_live_state)
{
    id(1, 0);
    HIDDEN(ecx, 27);
    GREG(CR4) |= CR4_OSXSAVE;
    gt_lapic_on = false;
    id(1, 7); /* subleaf does not matter */
    SHOWN(ecx, 27);
    HIDDEN(edx, 9);
}
END_TEST

START_TEST(leaf_7_hides_features_with_state_that_is_not_switched)
{
    id(7, 0);
    ck_assert_uint_eq(eax, 1);
    HIDE(ebx, 1, 2, 4, 10, 11, 12, 14, 15, 25);
    HIDE(ecx, 3, 4, 5, 7, 13, 16, 23, 24, 29, 30, 31);
    HIDE(edx, 20, 22, 24, 26, 27, 28, 29, 30, 31);
    SHOWN(ebx, 0);
    SHOWN(ebx, 7);
    SHOWN(ebx, 20);
    id(7, 1);
    HIDE(eax, 17, 22, 26);
    ck_assert_uint_eq(ebx | ecx | edx, 0);
    id(7, 2);
    ZERO();
}
END_TEST

START_TEST(xsave_shows_what_guests_may_enable_and_the_live_size)
{
    id(0xd, 0);
    ck_assert_uint_eq(eax, 0xe7);
    ck_assert_uint_eq(edx, 0);
    ck_assert_uint_eq(ebx, 832);                /* live */
    ck_assert_uint_eq(ecx, 576 + 5 * 256 + 64); /* end of component 7 */
    id(0xd, 1);
    ck_assert_uint_eq(eax, 7);
    ck_assert_uint_eq(ebx, 900);
    ck_assert_uint_eq(ecx | edx, 0);
    id(0xd, 2);
    ck_assert_uint_eq(eax, 256);
    id(0xd, 3);
    ZERO(); /* MPX */
    id(0xd, 9);
    ZERO(); /* PKRU */
    id(0xd, 18);
    ZERO(); /* AMX */
}
END_TEST

START_TEST(hypervisor_leaves_identify_us)
{
    static const char name[] = "ACRNACRNACRN";

    id(0x40000000, 0);
    ck_assert_uint_eq(eax, 0x40000010);
    ck_assert_int_eq(memcmp(&ebx, name, 4) | memcmp(&ecx, name + 4, 4) | memcmp(&edx, name + 8, 4), 0);
    id(0x40000001, 0);
    ZERO();
    id(0x40000010, 0);
    ck_assert_uint_eq(eax, 1000000); /* kHz */
    ck_assert_uint_eq(ebx | ecx | edx, 0);
}
END_TEST

START_TEST(a_service_vm_is_told_so)
{
    struct cfg_vm cfg = *gt_vm->cfg;

    cfg.kind = VM_SERVICE;
    gt_vm->cfg = &cfg;
    guest_cpuid_init(gt_vm);
    id(0x40000001, 0);
    ck_assert_uint_eq(eax, 1);
}
END_TEST

START_TEST(extended_leaves_hide_svm_and_power_management)
{
    id(0x80000001, 0);
    HIDE(ecx, 2, 3, 4, 9, 10, 12, 13, 15, 17, 19, 23, 24, 26, 27, 28, 29);
    SHOWN(ecx, 1); /* CMP_LEGACY with two cores */
    SHOWN(ecx, 22);
    HIDE(edx, 10, 18, 19, 21, 28);
    SHOWN(edx, 20);
    SHOWN(edx, 29);
    id(0x80000007, 0);
    ck_assert_uint_eq(eax | ebx | ecx, 0);
    ck_assert_uint_eq(edx, BIT32(8));
    id(0x80000008, 0);
    ck_assert_uint_eq(eax, 0x3028);
    ck_assert_uint_eq(edx, 0);
    HIDE(ebx, 1, 3, 4, 8, 9, 14, 15, 24, 25, 26);
}
END_TEST

START_TEST(leaf_6_says_only_that_the_timer_runs_on)
{
    id(6, 0);
    ck_assert_uint_eq(eax, 4);
    ck_assert_uint_eq(ebx | ecx | edx, 0);
}
END_TEST

/* ---- MSRs ---- */

static u64 val;

static bool rd(u32 msr)
{
    val = ~0ull;
    return guest_rdmsr(gt_v, msr, &val);
}

#define READS(msr, want)                                                                                     \
    do {                                                                                                     \
        ck_assert_msg(rd(msr), "read of " #msr " refused");                                                  \
        ck_assert_uint_eq(val, want);                                                                        \
    } while (0)
#define WRITES(msr, v)  ck_assert_msg(guest_wrmsr(gt_v, msr, v), "write of " #msr " refused")
#define REFUSES(msr, v) ck_assert_msg(!guest_wrmsr(gt_v, msr, v), "write of " #msr " accepted")

START_TEST(unknown_msrs_are_refused_and_counted)
{
    static const u32 list[] = {0x0,
                               0x3b,
                               0x48,
                               0x3a /* Intel */,
                               0x1a0 /* Intel */,
                               0x186,
                               0x345,
                               0x400,
                               0x48b,
                               0xc81 /* cache allocation */,
                               0xc8f,
                               0xc90,
                               0xd10,
                               0xda0,
                               0x6e1,
                               0x7ff,
                               0x900,
                               0x1fff,
                               0x40000000,
                               0x4b564d00,
                               0xc000007f,
                               0xc0000085,
                               0xc0000104,
                               0xc0010000,
                               0xc0010063,
                               0xc0010117,
                               0xc0010118,
                               0xc0010131,
                               0xc0011020,
                               0xc0011030,
                               0xffffffff,
                               0x27f};

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        ck_assert_msg(!rd(list[i]), "read of %x", list[i]);
        ck_assert_msg(!guest_wrmsr(gt_v, list[i], 0), "write of %x", list[i]);
        ck_assert_uint_eq(gt_v->unowned, (i + 1) * 2);
    }
}
END_TEST

START_TEST(only_the_registers_that_the_cpu_switches_are_direct)
{
    static const u32 direct[] = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082, 0xc0000083,
                                 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};
    unsigned found = 0;

    for (u32 base = 0; base != 0x80000000; base = base == 0            ? 0xc0000000
                                                  : base == 0xc0000000 ? 0xc0010000
                                                                       : 0x80000000)
        for (u32 i = 0; i < 0x2000; i++) {
            bool listed = false;

            for (unsigned k = 0; k < ARRAY_SIZE(direct); k++)
                listed |= direct[k] == base + i;
            ck_assert_int_eq(guest_msr_direct_read(base + i), listed);
            ck_assert_int_eq(guest_msr_direct_write(base + i), listed);
            found += listed;
        }
    ck_assert_uint_eq(found, ARRAY_SIZE(direct));
}
END_TEST

START_TEST(live_registers_are_reached_through_the_backend_and_must_be_canonical)
{
    WRITES(0xc0000082, 0xffffffff81000000);
    READS(0xc0000082, 0xffffffff81000000);
    ck_assert_uint_eq(gt_f->live_msr[fake_live_msr_index(0xc0000082)], 0xffffffff81000000);
    REFUSES(0xc0000082, 0x1000000000000);
    REFUSES(0xc0000100, 0x8000000000000000);
    REFUSES(0x175, 0x8000000000000000);
    WRITES(0xc0000081, 0x8000000000000000); /* STAR holds selectors */
}
END_TEST

START_TEST(efer_hides_svme_keeps_lma_and_checks)
{
    gt_mode64();
    READS(0xc0000080, EFER_LME | EFER_LMA | EFER_NXE);
    WRITES(0xc0000080, EFER_LME | EFER_NXE | EFER_SCE); /* LMA ignored */
    READS(0xc0000080, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE);
    REFUSES(0xc0000080, EFER_LME | EFER_SVME);
    REFUSES(0xc0000080, EFER_LME | BIT64(1));
    REFUSES(0xc0000080, EFER_LME | BIT64(13));
    REFUSES(0xc0000080, EFER_LME | BIT64(15));
    REFUSES(0xc0000080, EFER_LME | BIT64(63));
    REFUSES(0xc0000080, EFER_NXE); /* LME under paging */
    GREG(CR0) = CR0_PE;
    GREG(EFER) = EFER_SVME | EFER_LME;
    WRITES(0xc0000080, EFER_LMA);
    READS(0xc0000080, 0);
}
END_TEST

START_TEST(pat_takes_memory_types_only)
{
    READS(0x277, 0x0007040600070406);
    WRITES(0x277, 0x0407050600070106);
    ck_assert_uint_eq(GREG(PAT), 0x0407050600070106);
    REFUSES(0x277, 0x0007040600070402);
    REFUSES(0x277, 0x0307040600070406);
    REFUSES(0x277, 0x0807040600070406);
}
END_TEST

START_TEST(tsc_reads_with_offset_and_writes_move_the_offset)
{
    fake_tsc = 1000;
    gt_f->tsc_offset = 500;
    READS(0x10, 1500);
    WRITES(0x10, 100);
    ck_assert_uint_eq(gt_f->tsc_offset, (u64)-900);
    ck_assert_uint_eq(gt_tsc_moves, 1);
    READS(0x10, 100);
}
END_TEST

START_TEST(apic_registers_go_to_the_local_apic)
{
    static const u32 list[] = {0x6e0, 0x800, 0x830, 0x8ff};

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        gt_lapic_ok = true;
        gt_lapic_val = 0xabc;
        READS(list[i], 0xabc);
        ck_assert_uint_eq(gt_lapic_msr, list[i]);
        ck_assert(guest_wrmsr(gt_v, list[i], 0xdef));
        ck_assert_uint_eq(gt_lapic_val, 0xdef);
        gt_lapic_ok = false;
        ck_assert(!rd(list[i]));
        ck_assert(!guest_wrmsr(gt_v, list[i], 0));
    }
}
END_TEST

START_TEST(the_apic_base_is_the_local_apics)
{
    u64 other;

    WRITES(0x1b, 0xfee00900);
    ck_assert_uint_eq(gt_lapic_msr, 0x1b);
    READS(0x1b, 0xfee00900);
    ck_assert(guest_rdmsr(&vcpus[1], 0x1b, &other));
    ck_assert_uint_ne(other, 0xfee00900);
    gt_lapic_ok = false;
    REFUSES(0x1b, 0);
}
END_TEST

START_TEST(mtrrs_look_like_firmware_left_them_and_check_writes)
{
    READS(0xfe, 0x508);
    READS(0x2ff, 0xc06);
    READS(0x250, 0x0606060606060606);
    READS(0x259, 0);
    READS(0x26f, 0x0606060606060606);
    READS(0x200, 0xf0000000);
    READS(0x201, 0xfff0000800);
    for (u32 m = 0x202; m < 0x210; m++) {
        ck_assert(guest_wrmsr(gt_v, m, (m & 1) ? 0xffc0000800 : 0x40000006));
        READS(m, (m & 1) ? 0xffc0000800 : 0x40000006);
    }
    REFUSES(0xfe, 0);
    REFUSES(0x2ff, 0xc02);
    REFUSES(0x2ff, 0x1c06);
    REFUSES(0x250, 0x0606060606060603);
    REFUSES(0x202, 0x40000007);
    REFUSES(0x202, 0x40000106);
    REFUSES(0x202, BIT64(40) | 6);
    REFUSES(0x203, 0xffc0000801);
    REFUSES(0x203, BIT64(40) | 0x800);
    ck_assert(!rd(0x210) && !rd(0x251) && !rd(0x267) && !rd(0x270) && !rd(0x2fe));
    guest_msrs_reset(gt_v);
    READS(0x202, 0);
}
END_TEST

START_TEST(what_stock_linux_touches_on_amd_is_there)
{
    READS(0x179, 0); /* no machine-check banks */
    READS(0x1d9, 0);
    WRITES(0x1d9, 0);
    READS(0xc0010010, 0);
    WRITES(0xc0010010, 0x40000);
    READS(0xc0010015, BIT64(24));
    WRITES(0xc0010015, 1);
    READS(0xc0010015, BIT64(24) | 1);
    READS(0xc001001f, 0);
    WRITES(0xc001001f, BIT64(46));
    READS(0xc001001f, BIT64(46));
    READS(0xc0010055, 0);
    READS(0xc0010058, 0);
    READS(0xc001001a, 0);
    READS(0xc0010114, 0x18); /* SVM off, locked */
    WRITES(0xc0010114, 0);
    READS(0xc0010114, 0x18);
    READS(0xc0011029, 2);
    READS(0x8b, 0);
    fake_msr_set(0x8b, 0x8001250);
    READS(0x8b, 0x8001250);
    WRITES(0x8b, 0);
    REFUSES(0x49, 2);
    ck_assert(!rd(0x49));
    WRITES(0x49, 0);
    REFUSES(0x179, 1);
    REFUSES(0x1d9, BIT64(6));
}
END_TEST

START_TEST(stored_registers_belong_to_one_vcpu)
{
    u64 other;

    guest_msrs_reset(&vcpus[1]);
    WRITES(0xc001001f, 0x77);
    ck_assert(guest_rdmsr(&vcpus[1], 0xc001001f, &other));
    ck_assert_uint_eq(other, 0);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, vendor_passes_and_highest_leaves_are_capped);
    tcase_add_test(t, leaves_beyond_the_highest_and_between_ranges_are_zero);
    tcase_add_test(t, leaf_1_hides_what_is_not_virtualised);
    tcase_add_test(t, apic_ids_are_those_of_the_vcpu_everywhere);
    tcase_add_test(t, topology_is_one_package_of_single_thread_cores);
    tcase_add_test(t, osxsave_and_apic_follow_the_live_state);
    tcase_add_test(t, leaf_7_hides_features_with_state_that_is_not_switched);
    tcase_add_test(t, xsave_shows_what_guests_may_enable_and_the_live_size);
    tcase_add_test(t, hypervisor_leaves_identify_us);
    tcase_add_test(t, a_service_vm_is_told_so);
    tcase_add_test(t, extended_leaves_hide_svm_and_power_management);
    tcase_add_test(t, leaf_6_says_only_that_the_timer_runs_on);
    tcase_add_test(t, unknown_msrs_are_refused_and_counted);
    tcase_add_test(t, only_the_registers_that_the_cpu_switches_are_direct);
    tcase_add_test(t, live_registers_are_reached_through_the_backend_and_must_be_canonical);
    tcase_add_test(t, efer_hides_svme_keeps_lma_and_checks);
    tcase_add_test(t, pat_takes_memory_types_only);
    tcase_add_test(t, tsc_reads_with_offset_and_writes_move_the_offset);
    tcase_add_test(t, apic_registers_go_to_the_local_apic);
    tcase_add_test(t, the_apic_base_is_the_local_apics);
    tcase_add_test(t, mtrrs_look_like_firmware_left_them_and_check_writes);
    tcase_add_test(t, what_stock_linux_touches_on_amd_is_there);
    tcase_add_test(t, stored_registers_belong_to_one_vcpu);
}

int main(void)
{
    return gt_main("policy", add);
}
