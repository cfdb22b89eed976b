#!/bin/sh
# Usage: iasl.sh T_FIRMWARE IASL. Disassembles the tables that t_firmware writes and compiles the DSDT's text again: no error, no warning,
# and the same bytes apart from the package lengths (iasl picks the shortest form, the hypervisor always the two-byte one).
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$1" "$dir" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
cd "$dir"
for t in dsdt facp apic facs rsdt xsdt; do
    "$2" -d "$t.aml" >"$t.log" 2>&1 || { cat "$t.log"; exit 1; }
    if grep -iE 'error|warning|invalid|incorrect|unknown' "$t.log" "$t.dsl"; then
        echo "table $t does not disassemble cleanly"
        exit 1
    fi
done
"$2" -p again dsdt.dsl >again.log 2>&1 || { cat again.log; exit 1; }
grep -q '0 Errors, 0 Warnings, 0 Remarks' again.log || { cat again.log; exit 1; }
