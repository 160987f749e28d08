#include "src/output/metrics.hpp"

#include <iterator>

#include "kernels/errors.hpp"

namespace tramontane {

MetricsWriter::MetricsWriter(const std::string& path, bool append)
    : path_(path), out_(path, append ? std::ios::app : std::ios::out) {
  if (!out_) throw RunError("cannot write " + path_);
}

void MetricsWriter::write(std::string_view kind, const nlohmann::ordered_json& values) {
  nlohmann::ordered_json line = {{"kind", kind}};
  line.update(values);
  out_ << line.dump() << std::endl;
  if (!out_) throw RunError("cannot write " + path_ + ": is the disk full?");
}

std::string metrics_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace tramontane
