#include "ml/device_sharing.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "ml/mpi_deadline.hpp"

namespace tramontane {

SharedDevice find_shared_device(const std::vector<std::string>& devices) {
  std::map<std::string, int> seen;
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    const auto [place, is_new] = seen.emplace(devices[rank], static_cast<int>(rank));
    if (!is_new) return {place->second, static_cast<int>(rank), devices[rank]};
  }
  return {};
}

std::vector<std::string> gather_texts(const std::string& text, MPI_Comm comm, double deadline_seconds) {
  constexpr int width = 256;
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  std::vector<char> own(width, '\0'), all(static_cast<std::size_t>(width) * ranks);
  std::copy_n(text.begin(), std::min<std::size_t>(text.size(), width - 1), own.begin());
  std::vector<MPI_Request> requests(1);
  MPI_Iallgather(own.data(), width, MPI_CHAR, all.data(), width, MPI_CHAR, comm, &requests[0]);
  wait_with_deadline(requests, deadline_seconds, "the names of the learner ranks' devices", comm);
  std::vector<std::string> texts;
  for (int rank = 0; rank < ranks; ++rank) texts.emplace_back(&all[static_cast<std::size_t>(rank) * width]);
  return texts;
}

}  // namespace tramontane
