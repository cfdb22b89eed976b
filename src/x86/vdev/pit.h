/* Programmable interval timer (8254) with port 0x61. Layer 5. */
#ifndef BH_X86_VDEV_PIT_H
#define BH_X86_VDEV_PIT_H

struct vm;

/* Boot: registers the ports and homes the channel 0 timer on the VM's control CPU. */
void pit_init(struct vm *vm);
/* Power-on state; no vCPU of the VM runs. */
void pit_reset(struct vm *vm);

#endif
