# needs: awk sed sort uniq tr tar gzip find xargs
# Pipelines of small programs, subshells, arrays, background jobs.
seq 1 60000 | awk '{ print $1 % 977, $1 * 7919 % 10007, "word" $1 % 100 }' > table
sort -k2,2n -k1,1n table | uniq -c | awk '{ s += $1 * $2 } END { print s }'
tr 'a-z' 'A-Z' < table | sed -E 's/([0-9]+) ([0-9]+)/\2-\1/' | sort | tail -n 3

declare -A sums
while read -r key value _; do
  sums[$key]=$(( ${sums[$key]:-0} + value ))
done < <(head -n 4000 table)
for key in "${!sums[@]}"; do echo "$key ${sums[$key]}"; done | sort -n | cksum

for i in 1 2 3 4 5 6 7 8; do
  (seq "$i" 13 5000 | sort -R --random-source=table | sort -n | cksum > "part$i") &
done
wait
cat part*
text=$(printf 'x%.0s' $(seq 1 5000))
text=${text//x/abc}
echo "${#text} ${text:100:20}"
find . -type f -name 'part*' -print0 | sort -z | xargs -0 -n 2 cat | cksum
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - table part* | gzip -n | cksum
