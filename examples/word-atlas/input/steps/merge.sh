# Adds up ROOT/counts/*.txt into ROOT/merged.txt, the most frequent word first.
# usage: sh merge.sh ROOT
set -e
cat "$1"/counts/*.txt | awk '
  { count[$2] += $1 }
  END { for (word in count) print count[word], word }
' | LC_ALL=C sort -k1,1nr -k2 > "$1/merged.txt"
echo "$(wc -l < "$1/merged.txt") different words; the most frequent:"
head -n 5 "$1/merged.txt"
