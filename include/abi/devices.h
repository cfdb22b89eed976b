/*
 * Devices of a user VM as later editions of the ABI describe them: PCI functions, MMIO windows and port
 * ranges to pass through, devices that the hypervisor emulates, doorbells; byte for byte as hypercall-abi.md
 * section 6.3 gives them (the calls are in 6.2). The structures of the first edition are in abi/hypercall.h.
 * Layer 1.
 */
#ifndef BH_ABI_DEVICES_H
#define BH_ABI_DEVICES_H

#include <abi/hypercall.h>
#include <lib/types.h>

#define HC_PCI_BARS       6u
#define HC_PCIDEV_QUIRK   0x1u /* type */
#define HC_MMIODEV_RANGES 3u
#define HC_VDEV_ARG_BYTES 128u

struct hc_pcidev { /* ASSIGN_PCIDEV, DEASSIGN_PCIDEV */
    u32 type;
    u16 virt_bdf;
    u16 phys_bdf;
    u8 intr_line;
    u8 intr_pin;
    u8 hole[2];
    u32 bar[HC_PCI_BARS];
};
HC_SIZE(struct hc_pcidev, 36, 4);
HC_AT(struct hc_pcidev, virt_bdf, 4);
HC_AT(struct hc_pcidev, phys_bdf, 6);
HC_AT(struct hc_pcidev, intr_line, 8);
HC_AT(struct hc_pcidev, intr_pin, 9);
HC_AT(struct hc_pcidev, bar, 12);

struct hc_mmio_range { /* all zeroes: no range */
    u64 user_vm_pa;
    u64 host_pa;
    u64 size; /* bytes */
    u64 mem_type;
};
HC_SIZE(struct hc_mmio_range, 32, 8);
HC_AT(struct hc_mmio_range, host_pa, 8);
HC_AT(struct hc_mmio_range, size, 16);
HC_AT(struct hc_mmio_range, mem_type, 24);

struct hc_mmiodev { /* ASSIGN_MMIODEV, DEASSIGN_MMIODEV */
    char name[8];
    struct hc_mmio_range res[HC_MMIODEV_RANGES];
};
HC_SIZE(struct hc_mmiodev, 104, 8);
HC_AT(struct hc_mmiodev, res, 8);

struct hc_pio_region { /* ASSIGN_PIO_REGION, DEASSIGN_PIO_REGION */
    char name[8];
    u16 port_address;
    u16 size; /* ports */
};
HC_SIZE(struct hc_pio_region, 12, 2);
HC_AT(struct hc_pio_region, port_address, 8);
HC_AT(struct hc_pio_region, size, 10);

/* A device that the hypervisor emulates: vendor, device, number of a device that is neither. */
union hc_vdev_id {
    u64 value;
    struct {
        u16 vendor;
        u16 device;
        u32 legacy_id;
    } fields;
};
HC_SIZE(union hc_vdev_id, 8, 8);
HC_AT(union hc_vdev_id, fields.device, 2);
HC_AT(union hc_vdev_id, fields.legacy_id, 4);

#define HC_VDEV_IVSHMEM   0x11101af4u /* 1af4:1110, value of hc_vdev_id */
#define HC_VDEV_MCS9900   0x99009710u /* 9710:9900, UART */
#define HC_VDEV_ROOT_PORT 0x9d148086u /* 8086:9d14; args is a struct hc_vrp_config */

struct hc_vdev { /* ADD_VDEV, REMOVE_VDEV */
    union hc_vdev_id id;
    u64 slot; /* low 16 bits: BDF */
    u32 io_addr[HC_PCI_BARS];
    u32 io_size[HC_PCI_BARS];
    u8 args[HC_VDEV_ARG_BYTES]; /* by device */
};
HC_SIZE(struct hc_vdev, 192, 8);
HC_AT(struct hc_vdev, slot, 8);
HC_AT(struct hc_vdev, io_addr, 16);
HC_AT(struct hc_vdev, io_size, 40);
HC_AT(struct hc_vdev, args, 64);

struct hc_vrp_config { /* in args of a root port */
    u16 phy_bdf;
    u8 max_payload;
    u8 primary_bus;
    u8 secondary_bus;
    u8 subordinate_bus;
    u8 ptm_capable;
    u8 hole;
    u32 ptm_cap_offset;
};
HC_SIZE(struct hc_vrp_config, 12, 4);
HC_AT(struct hc_vrp_config, max_payload, 2);
HC_AT(struct hc_vrp_config, primary_bus, 3);
HC_AT(struct hc_vrp_config, secondary_bus, 4);
HC_AT(struct hc_vrp_config, subordinate_bus, 5);
HC_AT(struct hc_vrp_config, ptm_capable, 6);
HC_AT(struct hc_vrp_config, ptm_cap_offset, 8);

#define HC_ASYNCIO_MAX 64u /* doorbells of a VM */

enum hc_asyncio_type { HC_ASYNCIO_PIO = 1, HC_ASYNCIO_MMIO = 2 };

struct hc_asyncio_info { /* ASYNCIO_ASSIGN, ASYNCIO_DEASSIGN */
    u32 type;            /* enum hc_asyncio_type */
    u32 match_data;      /* not 0: only writes of `data` count */
    u64 addr;            /* port or GPA, never 0 */
    u64 fd;              /* the caller's own; an element of the VM's sbuf HC_SBUF_ASYNCIO */
    u64 data;
};
HC_SIZE(struct hc_asyncio_info, 32, 8);
HC_AT(struct hc_asyncio_info, match_data, 4);
HC_AT(struct hc_asyncio_info, addr, 8);
HC_AT(struct hc_asyncio_info, fd, 16);
HC_AT(struct hc_asyncio_info, data, 24);

#endif
