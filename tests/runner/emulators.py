"""Which emulator runs a board. Each module offers check(emulator, board), Machine(config, channels, log_dir, **options) and
interactive(config, log, timeout, **options)."""

import bochs
import qemu

KINDS = {"qemu": qemu, "bochs": bochs}


def of(config):
    """The module of the emulator that run.json names, or None: a real machine."""
    return KINDS.get(config["emulator"]["kind"]) if config["emulator"] else None
