# needs: g++
# Link-time optimisation: the linker with its plugin, and several compiler processes at once.
for i in 1 2 3 4; do
  cat > "f$i.cpp" <<CODE
int f$i(int n);
int f$i(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += i * $i;
  return sum;
}
CODE
  g++ -O2 -flto -frandom-seed="$i" -c "f$i.cpp"
done
cat > main.cpp <<'CODE'
int f1(int), f2(int), f3(int), f4(int);
int main(int count, char**) { return (f1(count) + f2(count) + f3(count) + f4(count)) & 1; }
CODE
g++ -O2 -flto -frandom-seed=9 -c main.cpp
g++ -O2 -flto=2 -Wl,--build-id=none main.o f1.o f2.o f3.o f4.o -o program
./program
cksum program
