/*
 * What the linked backend (src/x86/svm or src/x86/vmx) offers to the boot sequence. Declared here because the
 * backend stands between this layer and src/x86/boot. Layer 4'.
 */
#ifndef BH_X86_HW_BACKEND_H
#define BH_X86_HW_BACKEND_H

/* NULL when this machine can run guests, else what is missing ("SVM is locked off by the firmware"). BSP,
 * after features_init(). */
const char *backend_check(void);
/* Switches virtualisation on for the calling CPU. Every CPU, once, before cpu_loop(). */
void backend_cpu_init(void);

#endif
