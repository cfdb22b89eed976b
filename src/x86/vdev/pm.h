/* ACPI fixed hardware, reset by keyboard controller and port 0x92, delay port. Layer 5. */
#ifndef BH_X86_VDEV_PM_H
#define BH_X86_VDEV_PM_H

struct vm;

/* Boot: registers the ports and homes the PM timer's overflow timer on the VM's control CPU. */
void pm_init(struct vm *vm);
/* Power-on state; no vCPU of the VM runs. */
void pm_reset(struct vm *vm);

#endif
