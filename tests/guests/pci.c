/* PCI configuration space by ports CF8/CFC: a host bridge, and nothing where nothing is. */
#include "guest.h"

static u32 cfg(unsigned bus, unsigned dev, unsigned fn, unsigned reg)
{
    outl(0xcf8, (u32)(BIT(31) | bus << 16 | dev << 11 | fn << 8 | (reg & 0xfc)));
    return inl(0xcfc);
}

void guest_main(void)
{
    u32 id, found = 0;

    guest_init();
    outl(0xcf8, 0x80000000);
    check(inl(0xcf8) == 0x80000000, "the address register reads back");
    outl(0xcf8, 0x80fffffc);
    check(inl(0xcf8) == 0x80fffffc, "with every address bit");
    id = cfg(0, 0, 0, 0);
    check(id != 0xffffffff && (id & 0xffff) != 0, "function 00:00.0 is there (%x:%x)", id & 0xffff, id >> 16);
    check(cfg(0, 0, 0, 8) >> 16 == 0x0600, "it is a host bridge (class 0x%x)", cfg(0, 0, 0, 8) >> 8);
    check((cfg(0, 0, 0, 12) >> 16 & 0x7f) == 0, "with a type 0 header");
    outl(0xcf8, 0x80000000);
    check(inw(0xcfc) == (id & 0xffff) && inw(0xcfe) == id >> 16, "word reads agree");
    check(inb(0xcfc) == (id & 0xff) && inb(0xcfd) == (id >> 8 & 0xff) && inb(0xcff) == id >> 24,
          "byte reads agree");
    outl(0xcfc, 0x12345678);
    check(cfg(0, 0, 0, 0) == id, "the id is read-only");
    outl(0xcf8, 0);
    check(inl(0xcfc) == 0xffffffff, "without the enable bit nothing answers");
    for (unsigned dev = 0; dev < 32; dev++)
        for (unsigned fn = 0; fn < 8; fn++)
            found += (cfg(0, dev, fn, 0) & 0xffff) != 0xffff;
    check(found >= 1, "%u functions on bus 0", found);
    check(cfg(3, 0, 0, 0) == 0xffffffff, "an empty bus reads all ones");
    outb(0xcf8, 1); /* not a 32-bit access: not the address register */
    outl(0xcf8, 0x80000000);
    check(inl(0xcfc) == id, "a byte write to CF8 does no harm");
    printf("# pci functions %u\n", found);
    done();
}
