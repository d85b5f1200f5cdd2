# Cuts ROOT/input/text.txt between two paragraphs into eight parts of about the same size, ROOT/parts/part-0.txt ... part-7.txt.
# usage: sh split.sh ROOT
set -e
mkdir -p "$1/parts"
for part in 0 1 2 3 4 5 6 7; do : > "$1/parts/part-$part.txt"; done
# The text is read twice: once for its size, once to cut it.
awk -v part=0 -v stem="$1/parts/part-" '
  FNR == NR { size += length($0) + 1; next }
  $0 == "" && part < 7 && done >= size * (part + 1) / 8 { part++ }
  { done += length($0) + 1; print > (stem part ".txt") }
' "$1/input/text.txt" "$1/input/text.txt"
wc -l "$1"/parts/*.txt
