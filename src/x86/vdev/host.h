/*
 * The real machine behind the service VM: PCI functions, MSI, pins of the IOAPIC, device memory. Private to
 * the host_*.c files, platform.c and vioapic.c. All of it is left out of an image without a service VM.
 * Layer 5.
 */
#ifndef BH_X86_VDEV_HOST_H
#define BH_X86_VDEV_HOST_H

#include <config/config.h>
#include <core/vm.h>
#include <lib/spinlock.h>

struct irqchip;

/* ---- PCI functions (host_pci.c) ---- */

#define PCI_VENDOR   0x00
#define PCI_COMMAND  0x04
#define PCI_STATUS   0x06
#define PCI_CLASS    0x08 /* revision, then the three bytes of the class code */
#define PCI_HEADER   0x0c /* header type in bits 23:16 */
#define PCI_BAR0     0x10
#define PCI_BARS     6
#define PCI_BUSES    0x18 /* of a bridge: primary, secondary, subordinate */
#define PCI_CAP_PTR  0x34
#define PCI_CAP_MSI  0x05
#define PCI_CAP_MSIX 0x11

#define PCI_CMD_MEM      BIT32(1)
#define PCI_CMD_MASTER   BIT32(2)
#define PCI_CMD_INTX_OFF BIT32(10)
#define PCI_STATUS_CAP   BIT32(4)

#define PCI_CLASS_BRIDGE   0x06u /* base class */
#define PCI_CLASS_PCI_PCI  0x0604u
#define PCI_HEADER_NORMAL  0
#define PCI_HEADER_PCI_PCI 1

#define HOST_FNS 128 /* most functions that are found */

struct host_fn {
    u16 bdf;
    u16 class; /* base class and subclass */
    u8 header; /* PCI_HEADER_* */
    u8 bar_count;
    u16 command;        /* at boot */
    u32 bars[PCI_BARS]; /* at boot */
    /* MSI: offset of the capability (0: none), and what the guest wrote into it. */
    u8 msi_cap;
    u8 msi_vector; /* host vector's index + 1, 0: none */
    bool msi_64;
    bool msi_on;
    u32 msi_addr, msi_addr_hi, msi_data;
    /* MSI-X: offset of the capability (0: none), the table's place, its entries in the pool. */
    u8 msix_cap;
    u8 msix_bir;
    u16 msix_count, msix_first;
    bool msix_hidden; /* no room to keep its entries: the guest does not see the capability */
    u32 msix_off;
    u64 msix_table; /* where the table is now, its pages not being mapped for the guest; 0: nowhere */
};

extern struct host_fn host_fns[HOST_FNS];
extern u32 host_fn_count;

/* Boot: finds all functions and registers configuration mechanism 1 and the memory-mapped configuration
 * space. */
void host_pci_init(struct vm *vm);
/* Bus mastering off, base addresses as the firmware left them. */
void host_pci_quiesce(struct vm *vm);

/* ---- interrupts (host_irq.c) ---- */

/* Protects MSI and MSI-X state and the use of host vectors. Taken inside the vIOAPIC's lock; nothing is taken
 * inside it. */
extern spinlock_t host_lock;

enum host_irq_kind { HOST_IRQ_FREE, HOST_IRQ_PIN, HOST_IRQ_MSI, HOST_IRQ_MSIX };

/* Index of a host vector for the source, or -1 when all are in use. host_lock held. */
int host_vector_alloc(enum host_irq_kind kind, u16 fn, u16 index);
/* The pCPU that takes what the message is for: that of the first vCPU it names, else that of vCPU 0. */
struct apic_msg;
u32 host_target(struct vm *vm, const struct apic_msg *m);

/* Boot: which pins of the vIOAPIC follow the real one's. */
void host_pins_init(struct irqchip *c);
/* The vIOAPIC's entry of a host pin changed, or its interrupt ended: the real pin follows. The lock of the
 * vIOAPIC is held. */
void host_pin_update(struct vm *vm, unsigned pin, u64 rte);
void host_pin_mask(unsigned pin);
/* All pins of the service VM masked, all vectors free. */
void host_irq_quiesce(struct vm *vm);

/* ---- MSI, MSI-X (host_msi.c) ---- */

/* Boot: reads the capabilities of a function. */
void host_msi_find(struct host_fn *f);
/* True when the doubleword at `off` belongs to the function's MSI capability, so far as it is translated. */
bool host_msi_owns(const struct host_fn *f, u32 off);
/* The doubleword that the guest sees in place of the real one. */
u32 host_msi_read(const struct host_fn *f, u32 off, u32 real);
void host_msi_write(struct vm *vm, struct host_fn *f, u32 off, u32 val);
/* The message that the guest wants for an MSI or MSI-X vector. False: none any more. */
bool host_msi_message(enum host_irq_kind kind, u16 fn, u16 index, u64 *addr, u32 *data);
/* MSI and MSI-X off, guest state as after RESET. */
void host_msi_stop(struct host_fn *f);
/* Masks the entries of the real table; the function decodes memory and host_msix_track() was called. */
void host_msix_mask_all(const struct host_fn *f);

/*
 * The function's base addresses are as they will be when it decodes memory: takes the pages of the MSI-X
 * table away from the guest, wherever they are, and gives back the pages where it was. Caller holds no lock.
 */
void host_msix_track(struct vm *vm, struct host_fn *f);
/* An access to device memory that is not mapped: an MSI-X table, or what shares its pages. */
bool host_msix_mmio(struct vcpu *v, u64 addr, u8 size, bool write, u64 *val);

/* ---- device memory (host_mem.c) ---- */

/* Boot: maps what is neither anybody's RAM nor the hypervisor's. */
void host_mem_init(struct vm *vm);
/* True when all of the range is device memory that the service VM is given. */
bool host_mem_is_window(u64 base, u64 size);
/* Maps or unmaps pages of a window. vm->lock held, or the VM not yet started; the caller commits. */
void host_mem_show(struct vm *vm, u64 base, u64 size, bool show);

/* Host memory that the service VM has in place of the EBDA's page and of 0xe0000-0xfffff. */
#define HOST_EBDA_PAGE 0x9f000u
hpa_t host_bios_page(void);
/* Writes them anew, before each start. */
void host_bios_build(void);

/* ---- ports (host_ports.c) ---- */

/* State after RESET. */
void host_ports_reset(void);

#endif
