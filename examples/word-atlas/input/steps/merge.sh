# Adds up ROOT/counts/*.txt into ROOT/merged.txt, the most frequent word first.
# usage: sh merge.sh ROOT
cat "$1"/counts/*.txt | awk '{ n[$2] += $1 } END { for (w in n) print n[w], w }' | sort -k1,1nr -k2 > "$1/merged.txt"
echo "$(wc -l < "$1/merged.txt") different words"
head -5 "$1/merged.txt"
