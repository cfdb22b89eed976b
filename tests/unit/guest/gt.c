#include "gt.h"
#include <core/hcall.h>
#include "core/core_impl.h"
#include "x86/vdev/vlapic_state.h"

struct vm vms[CFG_VMS];
struct vcpu vcpus[CFG_VCPUS];
struct vlapic vlapics[CFG_VCPUS];
struct vm *const gt_vm = &vms[0];
struct vcpu *const gt_v = &vcpus[0];
struct fake_vcpu *const gt_f = &fake_vcpus[0];

u8 gt_mmio[GT_MMIO_LEN];
struct gt_access gt_log[512];
unsigned gt_logged;
const char *gt_fatal;
u64 gt_lapic_val;
u32 gt_lapic_msr;
bool gt_lapic_ok, gt_lapic_on;
unsigned gt_tsc_moves;
static u64 next_table;
static const struct cfg_mem mem[] = {{.gpa = 0, .hpa = GT_RAM_HPA, .size = GT_RAM}};
static struct cfg_vm cfg;

/* ---- stand-ins ---- */

void cpu_breathe(void)
{
}

void vm_guest_fatal(struct vcpu *v, const char *why)
{
    (void)v;
    gt_fatal = why;
}

bool vlapic_msr_read(struct vcpu *v, u32 msr, u64 *val)
{
    (void)v;
    gt_lapic_msr = msr;
    *val = gt_lapic_val;
    return gt_lapic_ok;
}

bool vlapic_msr_write(struct vcpu *v, u32 msr, u64 val)
{
    gt_lapic_msr = msr;
    if (msr == MSR_APIC_BASE && gt_lapic_ok)
        vlapics[v->index].base_msr = val;
    gt_lapic_val = val;
    return gt_lapic_ok;
}

void vlapic_set_cr8(struct vcpu *v, u64 cr8)
{
    (void)v;
    gt_lapic_val = cr8;
}

u64 vlapic_get_cr8(struct vcpu *v)
{
    (void)v;
    return gt_lapic_val;
}

bool vlapic_enabled(struct vcpu *v)
{
    (void)v;
    return gt_lapic_on;
}

void vlapic_tsc_moved(struct vcpu *v)
{
    (void)v;
    gt_tsc_moves++;
}

static enum hcall_outcome hcall_result;

enum hcall_outcome hcall_dispatch(struct vcpu *v)
{
    (void)v;
    return hcall_result;
}

/* ---- the device ---- */

static bool mmio_dev(struct vcpu *v, void *dev, u64 offset, u8 size, bool write, u64 *val)
{
    (void)v;
    (void)dev;
    if (write) {
        memcpy(&gt_mmio[offset], val, size);
    } else {
        *val = 0;
        memcpy(val, &gt_mmio[offset], size);
    }
    if (gt_logged < ARRAY_SIZE(gt_log))
        gt_log[gt_logged++] = (struct gt_access){offset, *val, size, write};
    return true;
}

/* ---- set-up ---- */

void gt_host_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    static const u32 ext_max = 0x80000020, basic_max = 0x10;

    memset(out, 0xff, 16); /* all features that anybody may ever invent */
    switch (leaf) {
    case 0:
        out[0] = basic_max;
        out[1] = 0x68747541, out[2] = 0x444d4163, out[3] = 0x69746e65;
        break;
    case 0x7:
        out[0] = 2;
        break;
    case 0xd:
        out[0] = subleaf == 0 ? 0x2ff : subleaf == 1 ? 0xf : subleaf == 2 ? 256 : 64;
        out[1] = subleaf == 0 ? 832 : subleaf == 1 ? 900 : 576 + (subleaf - 2) * 256;
        out[2] = subleaf == 0 ? 4000 : 0;
        out[3] = 0;
        break;
    case 0x80000000:
        out[0] = ext_max;
        break;
    case 0x80000008:
        out[0] = 0x3028;
        break;
    case 0x8000001d:
        out[0] = subleaf < 4 ? ((7u << 14) | ((subleaf < 2 ? 1 : subleaf) << 5) | (subleaf ? 3 : 1)) : 0;
        break;
    default:
        break;
    }
}

void gt_setup(void)
{
    fake_reset();
    memset(vms, 0, sizeof(vms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(vlapics, 0, sizeof(vlapics));
    memset(gt_mmio, 0, sizeof(gt_mmio));
    gt_logged = 0;
    gt_fatal = NULL;
    gt_lapic_ok = gt_lapic_on = true;
    gt_tsc_moves = 0;
    next_table = GT_TABLES;
    cfg = cfg_vms[0];
    cfg.mem = mem;
    cfg.mem_count = 1;
    *gt_vm = (struct vm){.id = 0, .cfg = &cfg, .vcpus = vcpus, .vcpu_count = 2};
    for (u16 i = 0; i < 2; i++) {
        vcpus[i].vm = gt_vm;
        vcpus[i].id = vcpus[i].index = i;
        vcpus[i].apic_id = i;
        arch_vcpu_init(&vcpus[i]);
    }
    arch_s2_init(gt_vm);
    ck_assert_int_eq(arch_s2_map(gt_vm, gpa(0), hpa(GT_RAM_HPA), GT_RAM, MEM_RWX), 0);
    io_register_mmio(gt_vm, GT_MMIO, GT_MMIO_LEN, mmio_dev, NULL);
    fake_cpuid_hook = gt_host_cpuid;
    guest_msr_init();
    guest_cpuid_init(gt_vm);
    guest_msrs_reset(gt_v);
}

static void flat_segments(u32 code_attr, u32 limit)
{
    for (int i = 0; i < SEG_COUNT; i++)
        gt_f->seg[i] = (struct segment){.limit = limit, .attr = 0x93 | (limit > 0xffff ? 0xc000 : 0)};
    gt_f->seg[SEG_CS].attr = code_attr;
}

void gt_mode64(void)
{
    u64 pdpt = 0, pml4 = next_table;
    u64 pd;

    next_table += 3 * PAGE_SIZE;
    pdpt = pml4 + PAGE_SIZE;
    pd = pdpt + PAGE_SIZE;
    *(u64 *)gt_ram(pml4) = pdpt | 0x27;
    *(u64 *)gt_ram(pdpt) = pd | 0x27;
    for (u64 i = 0; i < 256; i++)
        *(u64 *)gt_ram(pd + i * 8) = (i << 21) | 0xe7;
    flat_segments(0xa09b, ~0u);
    GREG(CR0) = CR0_PE | CR0_PG | CR0_WP;
    GREG(CR3) = pml4;
    GREG(CR4) = CR4_PAE;
    GREG(EFER) = EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
    GREG(RIP) = GT_CODE;
}

void gt_mode32(void)
{
    flat_segments(0xc09b, ~0u);
    GREG(CR0) = CR0_PE;
    GREG(RIP) = GT_CODE;
}

void gt_mode16(void)
{
    flat_segments(0x9b, 0xffff);
    GREG(CR0) = 0;
    gt_f->seg[SEG_CS].base = GT_CODE;
    GREG(RIP) = 0;
}

u8 *gt_ram(u64 at)
{
    ck_assert_uint_lt(at, GT_RAM);
    return fake_mem(GT_RAM_HPA + at);
}

void gt_write(u64 at, const void *src, size_t len)
{
    memcpy(gt_ram(at), src, len);
}

u64 gt_read64(u64 at)
{
    u64 v;

    memcpy(&v, gt_ram(at), 8);
    return v;
}

void gt_code(const char *bytes, size_t len)
{
    memset(gt_ram(GT_CODE), 0xcc, 32);
    gt_write(GT_CODE, bytes, len);
    GREG(RIP) = gt_f->seg[SEG_CS].base ? 0 : GT_CODE;
}

u64 gt_pte(u64 gva)
{
    u64 table = GREG(CR3) & ~PAGE_MASK;

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        u64 *e = (u64 *)(void *)gt_ram(table + ((gva >> shift) & 0x1ff) * 8);

        if (!(*e & 1) || (*e & 0x80)) {
            u64 old = *e;

            *e = next_table | 7;
            next_table += PAGE_SIZE;
            if (shift == 21 && (old & 1)) /* split the large page of gt_mode64() */
                for (u64 i = 0; i < 512; i++)
                    *(u64 *)(void *)gt_ram((*e & ~PAGE_MASK) + i * 8) =
                        (old & ~0x1fffffull) | (i << 12) | 0x67;
        }
        table = *e & 0xffffffffff000ull;
    }
    return table + ((gva >> 12) & 0x1ff) * 8;
}

void gt_map(u64 gva, u64 to, u64 flags)
{
    u64 e = to | flags;

    gt_write(gt_pte(gva), &e, 8);
}

void gt_expect_fault(u8 vector, u32 error, u64 cr2)
{
    const struct guest_event *e = &gt_f->queued_event;

    ck_assert(gt_f->queued);
    ck_assert_ptr_null(gt_fatal);
    ck_assert_int_eq(e->kind, EVENT_EXCEPTION);
    ck_assert_uint_eq(e->vector, vector);
    ck_assert_uint_eq(e->error, error);
    ck_assert(e->has_error == (vector != X86_UD));
    if (vector == X86_PF)
        ck_assert_uint_eq(e->cr2, cr2);
}

void gt_expect_none(void)
{
    ck_assert(!gt_f->queued);
    ck_assert_ptr_null(gt_fatal);
}

int gt_main(const char *name, void (*add)(TCase *t))
{
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, gt_setup, NULL);
    add(t);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
