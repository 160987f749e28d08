#include "ml/notices.hpp"

#include <cstdio>
#include <utility>

namespace tramontane {
namespace {

std::function<void(const std::string&)>& sink() {
  static std::function<void(const std::string&)> current;
  return current;
}

}  // namespace

void notice(const std::string& sentence) {
  if (sink())
    sink()(sentence);
  else
    std::fprintf(stderr, "tramontane: %s\n", sentence.c_str());
}

void set_notices(std::function<void(const std::string&)> to) {
  sink() = std::move(to);
}

}  // namespace tramontane
