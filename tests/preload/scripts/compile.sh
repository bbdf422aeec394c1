# needs: g++
# A compiler: object files must be identical, with debug information and without; so must errors.
cat > unit.cpp <<'CODE'
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>
using Value = std::variant<int, double, std::string, std::vector<int>>;
std::map<std::string, std::map<int, Value>> table;
std::size_t work(const std::vector<std::string>& words) {
  std::size_t count = 0;
  for (const auto& word : words) {
    table[word][static_cast<int>(count)] = word + word;
    count += std::visit([](const auto& value) { return sizeof value; }, table[word][0]);
  }
  std::function<bool(const std::string&)> odd = [](const auto& word) { return word.size() % 2; };
  return count + static_cast<std::size_t>(std::count_if(words.begin(), words.end(), odd));
}
CODE
g++ -std=c++20 -O2 -c unit.cpp -o plain.o
g++ -std=c++20 -O0 -g -frandom-seed=1 -c unit.cpp -o debug.o
echo 'int main() { return undeclared; }' | g++ -fsyntax-only -x c++ - 2>&1 || echo refused
cksum plain.o debug.o
