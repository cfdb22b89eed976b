#!/bin/sh
# Usage: iasl.sh T_DM_ACPI IASL. Disassembles the tables that t_acpi writes and compiles the texts again: no error, no warning, and the same
# bytes of AML.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$work"
cd "$work"
for name in FACP APIC FACS DSDT; do
  [ -s "$name.aml" ] || { echo "no $name"; exit 1; }
  "$2" -d "$name.aml" >"$name.log" 2>&1 || { cat "$name.log"; exit 1; }
  if grep -Eiq 'error|warning|invalid|incorrect|unknown' "$name.log"; then
    cat "$name.log"
    exit 1
  fi
done
grep -q 'PNP0A03' DSDT.dsl
"$2" -p again DSDT.dsl >again.log 2>&1 || { cat again.log; exit 1; }
grep -q '0 Errors, 0 Warnings' again.log || { cat again.log; exit 1; }
# Behind the header, which holds the compiler's own name.
tail -c +37 DSDT.aml >one
tail -c +37 again.aml >two
cmp one two
echo "4 passed"
