/* Sizes of the fake board and scenario that host unit tests use (tests/fake/cfg.c). */
#ifndef BH_CONFIG_SIZES_H
#define BH_CONFIG_SIZES_H

#define CFG_PCPUS            12
#define CFG_VMS              8
#define CFG_VCPUS            16
#define CFG_MAX_VCPUS_PER_VM 3
#define CFG_MODULES          3
#define CFG_VUARTS           8
#define CFG_S2_PAGES         192
#define CFG_HV_BASE          0x1000000
#define CFG_HV_SIZE          0x400000
#define CFG_MODULE_BASE      0x1400000
#define CFG_MODULE_SIZE      0x1000000
#define CFG_SERVICE          1
#define CFG_USER_VMS         4
#define CFG_APIC_ASSIST      1
#define CFG_LINKS            2
#define CFG_USER_VUARTS      1
#define CFG_SHMS             2
#define CFG_SHM_USERS        4
#define CFG_CACHES           2
#define CFG_CACHE_CLASSES    3

#endif
