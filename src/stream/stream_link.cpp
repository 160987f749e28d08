#include "src/stream/stream_link.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <set>
#include <thread>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

WhenFull parse_when_full(const std::string& text) {
  if (text == "block") return WhenFull::block;
  if (text == "drop_oldest") return WhenFull::drop_oldest;
  if (text == "drop_newest") return WhenFull::drop_newest;
  throw InputError("stream.when_full = " + text + " is not a policy: choose block, drop_oldest or drop_newest");
}

void check(const StreamOptions& options) {
  if (options.queue < 1)
    throw InputError(fmt::format("stream.queue = {} holds no sample: choose 1 or more", options.queue));
  if (options.credits < 1)
    throw InputError(fmt::format("stream credits = {} let no sample through: choose 1 or more", options.credits));
  if (options.keep < 0)
    throw InputError(fmt::format("a learner cannot keep {} samples in the stream's memory", options.keep));
  if (options.first_sample < 0 || !options.carried.closed() || options.carried.in_flight != 0)
    throw InputError(
        fmt::format("a stream cannot go on at sample {} with the ledger {}: it must be closed, with nothing "
                    "in flight",
                    options.first_sample, to_string(options.carried)));
  if (!(options.deadline_seconds > 0))
    throw InputError(fmt::format("the stream's deadline of {} s is over at once: choose a positive number of seconds",
                                 options.deadline_seconds));
}

void Backoff::pause() {
  if (looks_ == 0 && seconds_since(start_) < awake_)
    std::this_thread::yield();
  else
    std::this_thread::sleep_for(std::chrono::microseconds(++looks_ < 1024 ? 20 : 200));
}

StreamLink::StreamLink(MPI_Comm comm, const StreamRoles& roles, double deadline_seconds)
    : roles_(roles), deadline_(deadline_seconds) {
  int rank = 0, size = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  std::set<int> seen;
  int place = -1, position = 0;
  for (const std::vector<int>* list : {&roles.solvers, &roles.learners}) {
    if (list->empty()) throw InputError("a stream needs a solver rank and a learner rank: check ranks.*");
    for (const int r : *list) {
      if (r < 0 || r >= size || !seen.insert(r).second)
        throw InputError(
            fmt::format("stream: rank {} has two roles or is not one of the {} ranks: check ranks.*", r, size));
      if (r == rank) place = position;
      ++position;
    }
  }
  MPI_Comm_split(comm, place < 0 ? MPI_UNDEFINED : 0, place, &comm_);
  const bool solver = place >= 0 && place < solvers();
  MPI_Comm_split(comm, place < 0 ? MPI_UNDEFINED : (solver ? 0 : 1), place, &side_);
  rank_ = place;
  // A frame of the wrong length must be a rejected frame, not the end of the job.
  if (comm_ != MPI_COMM_NULL) MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
}

StreamLink::~StreamLink() {
  if (!quiet_ || comm_ == MPI_COMM_NULL) return;
  forget_communicator(side_);
  forget_communicator(comm_);
  MPI_Comm_free(&side_);
  MPI_Comm_free(&comm_);
}

std::string StreamLink::my_name() const {
  return solver_index() >= 0 ? solver_name(solver_index()) : learner_name(learner_index());
}

void StreamLink::throw_late(const std::string& what, Clock::time_point start) const {
  const double waited = seconds_since(start);
  const std::time_t since = std::time(nullptr) - static_cast<std::time_t>(waited);
  throw StreamLate(fmt::format("stream: {} has waited {:.1f} s (since {:%H:%M:%S} UTC) for {}", my_name(), waited,
                               fmt::gmtime(since), what));
}

void StreamLink::wait(MPI_Request& request, const std::string& what, const std::function<void()>& meanwhile) const {
  const WaitScope scope(what, comm_, WaitScope::kAll, deadline_);
  const auto start = Clock::now();
  Backoff backoff;
  for (int done = 0;;) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
      throw RunError("stream: MPI failed while " + my_name() + " waited for " + what);
    if (done) return;
    if (seconds_since(start) > deadline_) throw_late(what, start);
    if (meanwhile) meanwhile();
    backoff.pause();
  }
}

void StreamLink::allreduce(MPI_Comm comm, std::vector<std::int64_t>& values, MPI_Op op, const std::string& what,
                           const std::function<void()>& meanwhile) const {
  // When the wait fails MPI may still write here: the buffer is then left to it.
  auto buffer = std::make_unique<std::vector<std::int64_t>>(values);
  MPI_Request request;
  MPI_Iallreduce(MPI_IN_PLACE, buffer->data(), static_cast<int>(buffer->size()), MPI_INT64_T, op, comm, &request);
  try {
    wait(request, what, meanwhile);
  } catch (...) {
    (void)buffer.release();
    throw;
  }
  values = *buffer;
}

void StreamLink::check_templates(const std::vector<std::int64_t>& digests) const {
  // Greatest and (by complement) least digest per solver rank over those who know one.
  std::vector<std::int64_t> ends(2 * solvers(), INT64_MIN);
  for (int s = 0; s < solvers(); ++s)
    if (digests[s] != 0) {
      ends[s] = digests[s];
      ends[solvers() + s] = ~digests[s];
    }
  allreduce(comm_, ends, MPI_MAX, "the other ranks of the stream to start");
  for (int s = 0; s < solvers(); ++s)
    if (ends[s] != ~ends[solvers() + s])
      throw RunError("stream: " + solver_name(s) +
                     " and a learner rank lay out its frames differently: all ranks must run the same program with "
                     "the same grid, run id and HDF5 library");
}

std::vector<std::int64_t> StreamLink::exchange_keep(std::int64_t mine) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(learners()), 0);
  if (learner_index() >= 0) all[static_cast<std::size_t>(learner_index())] = mine;
  allreduce(comm_, all, MPI_MAX, "the other ranks of the stream to start");
  return all;
}

std::vector<QueueOffer> StreamLink::exchange_offers(const QueueOffer& mine) const {
  auto all = std::make_unique<std::vector<QueueOffer>>(static_cast<std::size_t>(solvers() + learners()));
  auto one = std::make_unique<QueueOffer>(mine);
  MPI_Request request;
  MPI_Iallgather(one.get(), sizeof mine, MPI_BYTE, all->data(), sizeof mine, MPI_BYTE, comm_, &request);
  try {
    wait(request, "the other ranks of the stream to start");
  } catch (...) {  // MPI may still write here
    (void)all.release();
    (void)one.release();
    throw;
  }
  all->resize(static_cast<std::size_t>(solvers()));
  return *all;
}

std::vector<std::int64_t> StreamLink::exchange_attached(const std::vector<std::int64_t>& mine) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(solvers()) * static_cast<std::size_t>(learners()), 0);
  if (learner_index() >= 0)
    for (std::size_t s = 0; s < mine.size(); ++s)
      all[s * static_cast<std::size_t>(learners()) + static_cast<std::size_t>(learner_index())] = mine[s];
  allreduce(comm_, all, MPI_MAX, "the other ranks of the stream to start");
  return all;
}

StreamLink::Totals StreamLink::exchange(const Ledger& mine) const {
  const bool solver = solver_index() >= 0;
  const std::vector<std::int64_t> counts = {mine.produced, mine.delivered, mine.dropped, mine.in_flight, mine.rejected};
  std::vector<std::int64_t> ends(10, INT64_MIN);
  if (solver)
    for (std::size_t k = 0; k < 5; ++k) {
      ends[k] = counts[k];
      ends[5 + k] = -counts[k];
    }
  std::vector<std::int64_t> sums =
      solver ? std::vector<std::int64_t>{0, 0, 0, 0, mine.bytes}
             : std::vector<std::int64_t>{mine.delivered, mine.dropped, mine.rejected, mine.bytes, 0};
  const std::string what = "the other ranks' final counts";
  allreduce(comm_, ends, MPI_MAX, what);
  allreduce(comm_, sums, MPI_SUM, what);
  for (std::size_t k = 0; k < 5; ++k)
    if (ends[k] != -ends[5 + k])
      throw RunError(fmt::format("the stream's ledger does not close: solver ranks disagree, {} to {} of count {}",
                                 -ends[5 + k], ends[k], k));
  return {{ends[0], ends[1], ends[2], ends[3], ends[4], sums[4]}, {ends[0], sums[0], sums[1], 0, sums[2], sums[3]}};
}

}  // namespace tramontane
