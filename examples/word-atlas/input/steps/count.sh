# Prints how often each word stands in one part: "COUNT WORD" lines.
# usage: sh count.sh ROOT NUMBER
tr -cs "A-Za-z" "\n" < "$1/parts/part-$2.txt" | tr "A-Z" "a-z" |
  awk 'length($0) > 0 { n[$0]++ } END { for (w in n) print n[w], w }' | sort -k2
