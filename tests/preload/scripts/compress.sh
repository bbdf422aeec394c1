# needs: xz zstd sort cmp
# Compressors and sort with threads: their output depends on the settings alone.
seq 1 300000 | awk '{ print ($1 * 7919) % 1000003, "some text that compresses", $1 % 13 }' > data
xz -T2 --block-size=1MiB -1 -k data -c > data.xz
zstd -q -T2 -5 data -c > data.zst
xz -dc -T2 data.xz | cmp - data
zstd -dcq data.zst | cmp - data
sort --parallel=2 -S 8M -n data > sorted
sort --parallel=2 -S 200M -n data | cmp - sorted
cksum data.xz data.zst sorted
