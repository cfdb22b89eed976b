/*
 * The secure world of a user VM ("trusty"): the parameter of INITIALIZE_TRUSTY, and what its memory begins
 * with when it starts, byte for byte as hypercall-abi.md section 3.7 gives it; the behaviour is its
 * section 2.7. Layer 1.
 */
#ifndef BH_ABI_TRUSTY_H
#define BH_ABI_TRUSTY_H

#include <abi/hypercall.h>
#include <lib/types.h>

#define HC_TRUSTY_RAM_BYTES MIB(16)
/* Guest-physical: where a secure world sees its own memory, and where the normal world finds it at creation.
 */
#define HC_TRUSTY_REBASE GIB(511)

#define HC_TRUSTY_RPMB_KEY_BYTES 64u
#define HC_TRUSTY_SEED_BYTES     64u
#define HC_TRUSTY_SEEDS          10u
#define HC_TRUSTY_RPMB_KEYS      6u

enum hc_trusty_version {
    HC_TRUSTY_V1 = 1, /* 32-bit addresses, no RPMB key */
    HC_TRUSTY_V2 = 2,
};

/* INITIALIZE_TRUSTY: a structure in the caller's own memory. */
struct hc_trusty_boot_param {
    u32 size_of_this_struct;
    u32 version; /* enum hc_trusty_version */
    u32 base_addr;
    u32 entry_point;
    u32 mem_size; /* bytes */
    u32 padding;
    u32 base_addr_high; /* this and what follows: version 2 only */
    u32 entry_point_high;
    u8 rpmb_key[HC_TRUSTY_RPMB_KEY_BYTES];
} ALIGNED(8);
HC_SIZE(struct hc_trusty_boot_param, 96, 8);
HC_AT(struct hc_trusty_boot_param, version, 4);
HC_AT(struct hc_trusty_boot_param, base_addr, 8);
HC_AT(struct hc_trusty_boot_param, entry_point, 12);
HC_AT(struct hc_trusty_boot_param, mem_size, 16);
HC_AT(struct hc_trusty_boot_param, base_addr_high, 24);
HC_AT(struct hc_trusty_boot_param, entry_point_high, 28);
HC_AT(struct hc_trusty_boot_param, rpmb_key, 32);

struct hc_seed_info {
    u8 cse_svn;
    u8 bios_svn;
    u8 padding[2];
    u8 seed[HC_TRUSTY_SEED_BYTES];
};
HC_SIZE(struct hc_seed_info, 68, 1);
HC_AT(struct hc_seed_info, bios_svn, 1);
HC_AT(struct hc_seed_info, seed, 4);

enum hc_trusty_platform {
    HC_TRUSTY_DUMMY,
    HC_TRUSTY_APL,
    HC_TRUSTY_ICL,
    HC_TRUSTY_ACRN, /* what a hypervisor of this ABI says */
    HC_TRUSTY_BRILLO,
};

#define HC_TRUSTY_MANUFACTURING 0x1u /* flags */
#define HC_TRUSTY_SECURE_BOOT   0x2u
#define HC_TRUSTY_TEST_SEEDS    0x4u

/* The first bytes of the secure world's memory. */
struct hc_trusty_key_info {
    u32 size_of_this_struct;
    u32 version;  /* 0 */
    u32 platform; /* enum hc_trusty_platform */
    u32 flags;
    u32 pad1;
    u32 num_seeds;
    struct hc_seed_info useed_list[HC_TRUSTY_SEEDS];
    struct hc_seed_info dseed_list[HC_TRUSTY_SEEDS];
    u8 rpmb_key[HC_TRUSTY_RPMB_KEYS][HC_TRUSTY_RPMB_KEY_BYTES];
    u8 attkb_enc_key[32];
    char serial[15];
    u8 pad2;
};
HC_SIZE(struct hc_trusty_key_info, 1816, 4);
HC_AT(struct hc_trusty_key_info, version, 4);
HC_AT(struct hc_trusty_key_info, platform, 8);
HC_AT(struct hc_trusty_key_info, flags, 12);
HC_AT(struct hc_trusty_key_info, num_seeds, 20);
HC_AT(struct hc_trusty_key_info, useed_list, 24);
HC_AT(struct hc_trusty_key_info, dseed_list, 704);
HC_AT(struct hc_trusty_key_info, rpmb_key, 1384);
HC_AT(struct hc_trusty_key_info, attkb_enc_key, 1768);
HC_AT(struct hc_trusty_key_info, serial, 1800);

/* Behind the key information; RDI of the secure world's first instruction points to it. */
struct hc_trusty_startup_param {
    u32 size_of_this_struct;
    u32 mem_size; /* bytes */
    u64 tsc_per_ms;
    u64 trusty_mem_base; /* HC_TRUSTY_REBASE */
    u32 reserved;
    u8 padding[4];
};
HC_SIZE(struct hc_trusty_startup_param, 32, 8);
HC_AT(struct hc_trusty_startup_param, mem_size, 4);
HC_AT(struct hc_trusty_startup_param, tsc_per_ms, 8);
HC_AT(struct hc_trusty_startup_param, trusty_mem_base, 16);
HC_AT(struct hc_trusty_startup_param, reserved, 24);

#endif
