/* Common ground of the hypercall tests: the real core and hypercalls on fake CPUs, with a service VM that
 * calls. */
#ifndef BH_HCALL_TEST_H
#define BH_HCALL_TEST_H

#include <abi/hypercall.h>
#include <core/hcall.h>
#include <core/ioreq.h>
#include <core/user_vm.h>
#include "../core/core_test.h"
#include "hcall/hcall.h"

/* Service memory that the tests use: parameter structures, I/O request pages, memory for user VMs; and an
 * address inside a hole between two blocks of it. */
#define PARAM    0x12001000ULL
#define RO_PAGE  0x7ff00000ULL /* not RAM of the service VM: what map_read_only() maps */
#define REQ_PAGE 0x12004000ULL
#define UVM_RAM  0x12400000ULL
#define RAM_END  0x14000000ULL
#define HOLE     0x14800000ULL
#define STALE    0x1122334455667788ULL

/* Wire ids of the user slots. */
enum { ID_U1 = 1, ID_U2, ID_SPARE, ID_RT };

/* Columns of the life-cycle table. */
enum column { COL_OFF, COL_CREATED, COL_STARTED, COL_POWERING_OFF, COL_PAUSED, COL_STARTED_RT, COLS };

extern struct vm *svc;
extern struct vcpu *caller; /* vCPU 0 of the service VM, on its CPU */

/* The service VM runs, nobody else. Flavour v1 until a test says otherwise. */
void hcall_setup(void);
void set_flavour(enum hcall_abi abi);

enum hcall_outcome call(u64 id, u64 p1, u64 p2);
/* The call is carried out: its result, sign-extended, with every register but RAX as it was and no lock held.
 */
s64 hc(u64 id, u64 p1, u64 p2);
/* The same with a parameter structure that is put at PARAM and passed in RDI or RSI. */
s64 hc_rdi(u64 id, const void *param, size_t len);
s64 hc_rsi(u64 id, u64 p1, const void *param, size_t len);
void put(u64 addr, const void *src, size_t len);
void get(u64 addr, void *dst, size_t len);
/* Shows the page at `host` to the service VM at RO_PAGE as it sees the host's tables: for reading only. */
void map_read_only(u64 host);

struct vm *slot(unsigned wire_id);
/* CREATE_VM by the key of the slot; the result, and what came back in the structure. */
extern struct hc_create_vm created;
s64 create(unsigned wire_id, u64 flags);
/* A VM with a buffer, 2 MiB of memory at 0 and one vCPU at least, brought to the state of the column (from
 * OFF). */
struct vm *reach(enum column col);
unsigned wire_id_of(enum column col);
s64 map(unsigned wire_id, u64 gpa_, u64 src, u64 size, u32 prot);

/* All results of one id for addresses that no structure can be at. param_in: the structure is read, else
 * written. */
void bad_addresses_fail(u32 id, u64 p1, bool in_rsi, size_t len, s64 want);

#endif
