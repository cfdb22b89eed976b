/* PM_GET_CPU_STATE (hypercall-abi.md section 2.6): performance and idle states, which are the board's. */
#include <lib/bits.h>
#include "hcall.h"

static s32 put_count(const struct hcall *h, u32 count)
{
    u8 out = (u8)count;

    return count ? hcall_put(h, h->p2, &out, sizeof(out)) : -EPERM_;
}

/* P-states are numbered from 0. */
static s32 put_px(const struct hcall *h, u64 number)
{
    const struct cfg_px *px;
    struct hc_px_data out;

    if (number >= cfg_board.px_count)
        return -EPERM_;
    px = &cfg_board.px[number];
    out = (struct hc_px_data){.core_frequency = px->core_mhz,
                              .power = px->power_mw,
                              .transition_latency = px->latency_us,
                              .bus_master_latency = px->bus_master_us,
                              .control = px->control,
                              .status = px->status};
    return hcall_put(h, h->p2, &out, sizeof(out));
}

/* The flavours' structures have the same members at other places. */
#define CX_DATA(cx)                                                                                          \
    {                                                                                                        \
        .cx_reg = {.space_id = (cx)->reg.space,                                                              \
                   .bit_width = (cx)->reg.bit_width,                                                         \
                   .bit_offset = (cx)->reg.bit_offset,                                                       \
                   .access_size = (cx)->reg.access_size,                                                     \
                   .address = (cx)->reg.address},                                                            \
        .type = (cx)->type, .latency = (cx)->latency_us, .power = (cx)->power_mw,                            \
    }

static s32 put_cx_v1(const struct hcall *h, const struct cfg_cx *cx)
{
    const struct hc_cx_data out = CX_DATA(cx);

    return hcall_put(h, h->p2, &out, sizeof(out));
}

static s32 put_cx_hsm(const struct hcall *h, const struct cfg_cx *cx)
{
    const struct hc_cx_data_hsm out = CX_DATA(cx);

    return hcall_put(h, h->p2, &out, sizeof(out));
}

/* C-states are numbered from 1. */
static s32 put_cx(const struct hcall *h, u64 number)
{
    if (number == 0 || number > cfg_board.cx_count)
        return -EPERM_;
    return hcall_hsm() ? put_cx_hsm(h, &cfg_board.cx[number - 1]) : put_cx_v1(h, &cfg_board.cx[number - 1]);
}

/* HC_PM_GET_CPU_STATE: RDI = HC_PMCMD_*, RSI = GPA of the result: one byte for a count, a structure for data.
 */
s32 hc_pm_get_cpu_state(struct hcall *h)
{
    u64 number = field_get(h->p1, HC_PMCMD_STATE);

    switch (field_get(h->p1, HC_PMCMD_TYPE)) {
    case HC_PM_PX_CNT:
        return put_count(h, cfg_board.px_count);
    case HC_PM_PX_DATA:
        return put_px(h, number);
    case HC_PM_CX_CNT:
        return put_count(h, cfg_board.cx_count);
    case HC_PM_CX_DATA:
        return put_cx(h, number);
    default:
        return -EPERM_;
    }
}
