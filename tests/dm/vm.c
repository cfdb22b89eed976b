/* The life of the user VM: every call of the driver's interface (linux/acrn.h) is made here. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/acrn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"

#define HSM_DEVICE      "/dev/acrn_hsm"
#define CR0_START       0x31u       /* protected mode, no paging: PE, ET, NE */
#define CODE_ATTRIBUTES 0xc09bu     /* present, 32-bit, page granular, execute and read, accessed */
#define FLAG_IO_POLLING (1u << 2)   /* vm_flag: the hypervisor polls for completion */
#define CPUID_SIGNATURE 0x40000000u /* hypercall ABI fact sheet, section 1.7 */
#define CPUID_TSC_KHZ   0x40000010u
#define TSC_WORD        "@tsc_khz@"
#define STOP_SIGNAL     SIGUSR1
#define STOP_EVERY      2000000L /* nanoseconds between signals to the I/O thread */

/* GSI operations of ACRN_IOCTL_SET_IRQLINE, in the upper half of its value. */
enum { LINE_HIGH = 0, LINE_LOW = 1 };

/* One call of the driver; says what failed. */
static int hsm(struct vm *vm, unsigned long request, const char *name, void *argument)
{
    int result = ioctl(vm->hsm, request, argument);
    if (result < 0)
        complain("%s: %s: %s (errno %d)", vm->options.name, name, strerror(errno), errno);
    return result < 0 ? -1 : 0;
}

static void set_line(struct vm *vm, uint64_t gsi, bool level)
{
    uint64_t value = gsi | (uint64_t)(level ? LINE_HIGH : LINE_LOW) << 32;
    /* By value, not through a pointer. A line that cannot be set is said once by the driver's caller of the
     * next call. */
    if (vm->state != VM_OFF && ioctl(vm->hsm, ACRN_IOCTL_SET_IRQLINE, value) < 0)
        complain("%s: SET_IRQLINE %llu: %s (errno %d)", vm->options.name, (unsigned long long)gsi,
                 strerror(errno), errno);
}

void vm_set_com1(void *opaque, bool level)
{
    set_line(opaque, GSI_COM1, level);
}

void vm_set_rtc(void *opaque, bool level)
{
    set_line(opaque, GSI_RTC, level);
}

const char *vm_state_name(const struct vm *vm)
{
    static const char *const names[] = {[VM_OFF] = "off", [VM_RUNNING] = "running", [VM_PAUSED] = "paused"};
    return names[vm->state];
}

void vm_feed_input(struct vm *vm)
{
    uint8_t byte;
    pthread_mutex_lock(&vm->lock);
    while (vm->state == VM_RUNNING && uart_room(&vm->uart) > 0 && ring_take(&vm->input, &byte))
        uart_receive(&vm->uart, byte);
    pthread_mutex_unlock(&vm->lock);
}

/* ---- the I/O thread ---- */

static void wake_main(struct vm *vm)
{
    uint64_t one = 1;
    if (write(vm->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        complain("eventfd: %s", strerror(errno));
}

static int serve_slot(struct vm *vm, unsigned vcpu)
{
    struct acrn_io_request *request = &vm->requests->req_slot[vcpu];
    struct acrn_ioreq_notify done = {.vmid = (uint16_t)vm->vmid, .vcpu = vcpu};
    bool wake;
    if (__atomic_load_n(&request->processed, __ATOMIC_ACQUIRE) != ACRN_IOREQ_STATE_PROCESSING ||
        request->kernel_handled != 0)
        return 0;
    pthread_mutex_lock(&vm->lock);
    serve_request(vm, request);
    wake = vm->wish != WISH_NONE || ring_used(&vm->output) != 0 ||
           (ring_used(&vm->input) != 0 && uart_room(&vm->uart) != 0);
    pthread_mutex_unlock(&vm->lock);
    /* The driver marks the slot complete and tells the hypervisor. */
    int result = hsm(vm, ACRN_IOCTL_NOTIFY_REQUEST_FINISH, "NOTIFY_REQUEST_FINISH", &done);
    if (wake)
        wake_main(vm);
    return result;
}

static void *io_main(void *opaque)
{
    struct vm *vm = opaque;
    bool good = true;
    while (good && !__atomic_load_n(&vm->io_stop, __ATOMIC_ACQUIRE)) {
        /* Returns when a request is there, and on a signal too. */
        good = hsm(vm, ACRN_IOCTL_ATTACH_IOREQ_CLIENT, "ATTACH_IOREQ_CLIENT", NULL) == 0;
        for (unsigned vcpu = 0; good && vcpu < vm->vcpu_count; vcpu++)
            good = serve_slot(vm, vcpu) == 0;
    }
    __atomic_store_n(&vm->io_stopped, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void nothing(int signal)
{
    (void)signal;
}

static int start_io(struct vm *vm)
{
    struct sigaction action = {.sa_handler = nothing};
    sigaction(STOP_SIGNAL, &action, NULL); /* without SA_RESTART */
    vm->io_stop = vm->io_stopped = 0;
    int error = pthread_create(&vm->io_thread, NULL, io_main, vm);
    if (error != 0) {
        complain("%s: pthread_create: %s", vm->options.name, strerror(error));
        return -1;
    }
    vm->io_running = true;
    return 0;
}

/* Ends the I/O thread. It must be out of ATTACH before the driver's client goes away, and it may enter ATTACH
 * just after a signal: the signal is repeated until the thread says that it is out. */
static void stop_io(struct vm *vm)
{
    struct timespec pause = {.tv_nsec = STOP_EVERY};
    if (!vm->io_running)
        return;
    __atomic_store_n(&vm->io_stop, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&vm->io_stopped, __ATOMIC_ACQUIRE)) {
        pthread_kill(vm->io_thread, STOP_SIGNAL);
        nanosleep(&pause, NULL);
    }
    pthread_join(vm->io_thread, NULL);
    vm->io_running = false;
}

/* ---- memory and images ---- */

static int get_memory(struct vm *vm)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE | (vm->options.small_pages ? 0 : MAP_HUGETLB);
    void *base = mmap(NULL, vm->options.memory, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED) {
        complain("%s: no %llu MiB of %s: %s; huge pages are reserved in /proc/sys/vm/nr_hugepages",
                 vm->options.name, (unsigned long long)vm->options.memory >> 20,
                 vm->options.small_pages ? "memory" : "huge pages", strerror(errno));
        return -1;
    }
    vm->memory = (struct guest_mem){base, vm->options.memory};
    void *requests = mmap(NULL, sizeof(*vm->requests), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (requests == MAP_FAILED) {
        complain("%s: no page for I/O requests: %s", vm->options.name, strerror(errno));
        return -1;
    }
    vm->requests = requests;
    return 0;
}

static void free_memory(struct vm *vm)
{
    if (vm->memory.base != NULL)
        munmap(vm->memory.base, vm->memory.size);
    if (vm->requests != NULL)
        munmap(vm->requests, sizeof(*vm->requests));
    vm->memory = (struct guest_mem){0};
    vm->requests = NULL;
}

struct file {
    uint8_t *data;
    size_t size;
};

/* Maps a file for reading; a NULL path is an empty file. */
static int map_file(const char *path, struct file *file)
{
    struct stat info;
    *file = (struct file){0};
    if (path == NULL)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED)
            *file = (struct file){data, (size_t)info.st_size};
    } else if (fd >= 0) {
        errno = ENODATA;
    }
    if (file->data == NULL)
        complain("cannot read %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return file->data != NULL ? 0 : -1;
}

static void unmap_file(const struct file *file)
{
    if (file->data != NULL)
        munmap(file->data, file->size);
}

/* The command line with the TSC's rate filled in. */
static int expand_cmdline(const char *text, char *out, size_t size)
{
    const char *word = strstr(text, TSC_WORD);
    unsigned eax, ebx, ecx, edx;
    int length;
    if (word == NULL) {
        length = snprintf(out, size, "%s", text);
    } else {
        __cpuid(CPUID_SIGNATURE, eax, ebx, ecx, edx);
        if (ebx != 0x4e524341 || ecx != ebx || edx != ebx || eax < CPUID_TSC_KHZ) { /* "ACRN" three times */
            complain("--cmdline has %s, but no hypervisor here tells the TSC's rate", TSC_WORD);
            return -1;
        }
        __cpuid(CPUID_TSC_KHZ, eax, ebx, ecx, edx);
        length = snprintf(out, size, "%.*s%u%s", (int)(word - text), text, eax, word + strlen(TSC_WORD));
    }
    if (length < 0 || (size_t)length >= size) {
        complain("--cmdline is longer than %zu characters", size - 1);
        return -1;
    }
    return 0;
}

static int load_images(struct vm *vm, struct entry *entry)
{
    struct file kernel, initrd = {0};
    char cmdline[CMDLINE_MAX], error[256];
    int result = -1;
    if (expand_cmdline(vm->options.cmdline, cmdline, sizeof(cmdline)) != 0 ||
        map_file(vm->options.kernel, &kernel) != 0)
        return -1;
    if (map_file(vm->options.initrd, &initrd) == 0) {
        uint8_t *tables = guest_at(&vm->memory, GUEST_ACPI, GUEST_HIGH - GUEST_ACPI);
        acpi_build(tables, GUEST_HIGH - GUEST_ACPI, GUEST_ACPI,
                   vm->options.cpus != 0 ? vm->options.cpus : vm->vcpu_count, vm->options.apic_ids);
        result = load_guest(&vm->memory, kernel.data, kernel.size, initrd.data, initrd.size, cmdline,
                            GUEST_ACPI, entry, error, sizeof(error));
        if (result != 0)
            complain("%s: %s", vm->options.kernel, error);
    }
    unmap_file(&initrd);
    unmap_file(&kernel);
    return result;
}

static int set_registers(struct vm *vm, const struct entry *entry)
{
    struct acrn_vcpu_regs regs;
    memset(&regs, 0, sizeof(regs));
    struct acrn_regs *r = &regs.vcpu_regs;
    r->gprs.rax = entry->rax;
    r->gprs.rbx = entry->rbx;
    r->gprs.rsi = entry->rsi;
    r->rip = entry->rip;
    r->cr0 = CR0_START;
    r->gdt.limit = GDT_BYTES - 1;
    r->gdt.base = GUEST_GDT;
    r->cs_sel = SEL_CODE;
    r->cs_ar = CODE_ATTRIBUTES;
    r->cs_limit = 0xffffffffu;
    r->ss_sel = r->ds_sel = r->es_sel = SEL_DATA;
    return hsm(vm, ACRN_IOCTL_SET_VCPU_REGS, "SET_VCPU_REGS", &regs);
}

/* From CREATED with memory of zeros to running. */
static int launch(struct vm *vm)
{
    struct entry entry;
    if (load_images(vm, &entry) != 0 || set_registers(vm, &entry) != 0 || start_io(vm) != 0)
        return -1;
    if (hsm(vm, ACRN_IOCTL_START_VM, "START_VM", NULL) != 0)
        return -1;
    vm->state = VM_RUNNING;
    return 0;
}

/* ---- life ---- */

static int make_vm(struct vm *vm)
{
    struct acrn_vm_creation creation = {
        .vcpu_num = (uint16_t)vm->options.cpus,
        .vm_flag = vm->options.polling ? FLAG_IO_POLLING : 0,
        .ioreq_buf = (uintptr_t)vm->requests,
        .cpu_affinity = vm->options.affinity,
    };
    memcpy(&creation.uuid, vm->options.key, sizeof(creation.uuid));
    if (hsm(vm, ACRN_IOCTL_CREATE_VM, "CREATE_VM", &creation) != 0)
        return -1;
    vm->state = VM_PAUSED;
    vm->vmid = creation.vmid;
    vm->vcpu_count = creation.vcpu_num;
    /* Without an affinity the slot gives what it has; the guest is told of as many as were asked for, if a
     * number was. */
    if (vm->vcpu_count < vm->options.cpus) {
        complain("%s: the slot gives %u vCPUs, not %u: its other CPUs are taken", vm->options.name,
                 vm->vcpu_count, vm->options.cpus);
        return -1;
    }
    if (vm->vcpu_count > MAX_VCPUS) {
        complain("%s: the slot gives %u vCPUs, more than %u", vm->options.name, vm->vcpu_count, MAX_VCPUS);
        return -1;
    }
    return 0;
}

static int map_memory(struct vm *vm)
{
    struct acrn_vm_memmap map = {
        .type = ACRN_MEMMAP_RAM,
        .attr = ACRN_MEM_ACCESS_RWX,
        .user_vm_pa = 0,
        .vma_base = (uintptr_t)vm->memory.base,
        .len = vm->memory.size,
    };
    return hsm(vm, ACRN_IOCTL_SET_MEMSEG, "SET_MEMSEG", &map);
}

int vm_create(struct vm *vm)
{
    if (vm->state != VM_OFF) {
        complain("%s: it is %s, not off", vm->options.name, vm_state_name(vm));
        return -1;
    }
    vm->served = 0;
    vm->hsm = open(HSM_DEVICE, O_RDWR | O_CLOEXEC);
    if (vm->hsm < 0) {
        complain("%s: open: %s (errno %d)", HSM_DEVICE, strerror(errno), errno);
        return -1;
    }
    pthread_mutex_lock(&vm->lock);
    reset_devices(vm);
    pthread_mutex_unlock(&vm->lock);
    if (get_memory(vm) == 0 && make_vm(vm) == 0 && map_memory(vm) == 0 &&
        hsm(vm, ACRN_IOCTL_CREATE_IOREQ_CLIENT, "CREATE_IOREQ_CLIENT", NULL) == 0 && launch(vm) == 0)
        return 0;
    vm_destroy(vm);
    return -1;
}

int vm_pause(struct vm *vm)
{
    if (vm->state == VM_OFF) {
        complain("%s: it is off", vm->options.name);
        return -1;
    }
    if (vm->state == VM_RUNNING && hsm(vm, ACRN_IOCTL_PAUSE_VM, "PAUSE_VM", NULL) != 0)
        return -1;
    pthread_mutex_lock(&vm->lock);
    vm->state = VM_PAUSED;
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

/* The order of the fact sheet's section 4.5: pause, complete what is outstanding, reset the devices,
 * RESET_VM, load, registers, start. */
int vm_reset(struct vm *vm)
{
    if (vm_pause(vm) != 0)
        return -1;
    stop_io(vm);
    if (hsm(vm, ACRN_IOCTL_CLEAR_VM_IOREQ, "CLEAR_VM_IOREQ", NULL) != 0 ||
        hsm(vm, ACRN_IOCTL_RESET_VM, "RESET_VM", NULL) != 0)
        return -1;
    pthread_mutex_lock(&vm->lock);
    reset_devices(vm);
    pthread_mutex_unlock(&vm->lock);
    memset(vm->memory.base, 0, vm->memory.size);
    return launch(vm);
}

/* DESTROY_VM before the memory is unmapped: until it returns the hypervisor maps these pages into the guest.
 * Closing the device would do the same; it is asked for so that a failure can be said. The driver's object
 * cannot be used twice: the next VM opens the device anew. */
int vm_destroy(struct vm *vm)
{
    int result = 0;
    stop_io(vm);
    if (vm->state != VM_OFF) {
        if (vm->state == VM_RUNNING)
            result |= hsm(vm, ACRN_IOCTL_PAUSE_VM, "PAUSE_VM", NULL);
        result |= hsm(vm, ACRN_IOCTL_DESTROY_VM, "DESTROY_VM", NULL);
    }
    pthread_mutex_lock(&vm->lock);
    vm->state = VM_OFF;
    pthread_mutex_unlock(&vm->lock);
    if (vm->hsm >= 0)
        close(vm->hsm);
    vm->hsm = -1;
    free_memory(vm);
    return result;
}
