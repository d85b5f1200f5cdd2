# Prints how often each word stands in one part, as lines of "COUNT WORD". Words are of letters; apostrophes may stand within.
# usage: sh count.sh ROOT NUMBER
tr 'A-Z' 'a-z' < "$1/parts/part-$2.txt" | tr -cs "a-z'" '\n' | awk '
  { gsub(/^\047+|\047+$/, "") }
  $0 != "" { count[$0]++ }
  END { for (word in count) print count[word], word }
' | LC_ALL=C sort -k2
