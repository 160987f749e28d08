#include "src/coupled/delivery_record.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

constexpr const char* kTitle = "tramontane deliveries";

std::string head_of(const std::string& lines, int learners) {
  Checksum sum;
  sum.add(lines.data(), lines.size());
  return fmt::format("{} of {} learners, checksum {:016x}\nlearner,number,step\n", kTitle, learners, sum.value());
}

}  // namespace

void write_deliveries(const std::string& path, const std::vector<Delivery>& mine, MPI_Comm learners) {
  int rank = 0, size = 1;
  MPI_Comm_rank(learners, &rank);
  MPI_Comm_size(learners, &size);
  const int words = static_cast<int>(2 * mine.size());
  std::vector<int> counts(size), begins(size, 0);
  MPI_Gather(&words, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, learners);
  for (int l = 1; l < size; ++l) begins[l] = begins[l - 1] + counts[l - 1];
  std::vector<std::int64_t> flat, all(static_cast<std::size_t>(begins.back() + counts.back()));
  for (const Delivery& d : mine) flat.insert(flat.end(), {d.number, d.step});
  MPI_Gatherv(flat.data(), words, MPI_INT64_T, all.data(), counts.data(), begins.data(), MPI_INT64_T, 0, learners);
  collective_guard(learners, [&] {
    if (rank != 0) return;
    std::string lines;
    for (int l = 0; l < size; ++l)
      for (int k = begins[l]; k < begins[l] + counts[l]; k += 2)
        lines += fmt::format("{},{},{}\n", l, all[static_cast<std::size_t>(k)], all[static_cast<std::size_t>(k) + 1]);
    const std::string aside = path + ".partial";
    std::ofstream out(aside, std::ios::binary);
    out << head_of(lines, size) << lines;
    out.close();
    std::error_code problem;
    if (out) std::filesystem::rename(aside, path, problem);
    if (!out || problem) throw RunError(fmt::format("the record of deliveries {} cannot be written", path));
  });
}

std::vector<Delivery> read_deliveries(const std::string& path, int learner, int learners) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw InputError(fmt::format("the record of deliveries {} cannot be read: check its path", path));
  const std::size_t first = text.find('\n'), second = first == text.npos ? first : text.find('\n', first + 1);
  int written_by = 0;
  if (second == text.npos || std::sscanf(text.c_str(), "tramontane deliveries of %d learners", &written_by) != 1)
    throw InputError(fmt::format("{} is no record of deliveries: name the file that the coupled run left", path));
  const std::string lines = text.substr(second + 1);
  if (text.substr(0, second + 1) != head_of(lines, written_by))
    throw InputError(fmt::format("the record of deliveries {} is damaged: copy it again", path));
  if (written_by != learners)
    throw InputError(fmt::format("the record of deliveries {} was written by {} learner ranks: run on as many, not {}",
                                 path, written_by, learners));
  std::vector<Delivery> mine;
  std::istringstream rows(lines);
  int owner = 0;
  Delivery d;
  for (char comma = 0; rows >> owner >> comma >> d.number >> comma >> d.step;)
    if (owner == learner) mine.push_back(d);
  return mine;
}

}  // namespace tramontane
