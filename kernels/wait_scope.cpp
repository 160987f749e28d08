#include "kernels/wait_scope.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <unordered_map>

#include "kernels/fault_injection.hpp"

namespace tramontane {
namespace {

using Clock = std::chrono::steady_clock;
using Ticks = Clock::duration::rep;
constexpr std::size_t kTextWords = 8;
constexpr int kDeepest = 16;  // scopes beyond are counted and not kept
constexpr auto kRelaxed = std::memory_order_relaxed;

Ticks now() {
  return Clock::now().time_since_epoch().count();
}
Clock::time_point at(Ticks ticks) {
  return Clock::time_point(Clock::duration(ticks));
}

/// Job ranks of a communicator's (remote) group, as MPI orders them. Never freed: there are few different ones.
using Members = std::vector<int>;

// Every word is atomic, so that the watchdog's reading is no data race; the sequence tells it whether it read one
// moment.
struct Entry {
  std::array<std::atomic<std::uint64_t>, kTextWords> text{};
  std::atomic<const Members*> members{nullptr};
  std::atomic<int> peer{0};
  std::atomic<double> own_limit{0};
  std::atomic<Ticks> since{0};
};

struct Registry {
  std::atomic<std::uint64_t> sequence{0};  // odd while the main thread writes
  std::atomic<int> depth{0};
  std::array<Entry, kDeepest> entries{};
  std::atomic<const char*> did{nullptr};
  std::atomic<std::int64_t> did_number{0}, finished{0};
  std::atomic<Ticks> did_at{0}, moved_at{now()};
  std::atomic<int> own_rank{0};
  std::atomic<bool> has_thread{false};
  pthread_t thread{};

  // The main thread's alone.
  std::unordered_map<MPI_Comm, const Members*> known;
  MPI_Comm last_comm = MPI_COMM_NULL;
  const Members* last_members = nullptr;
  MPI_Group job_group = MPI_GROUP_NULL;
};

Registry& registry() {
  static Registry* const the_one = new Registry;  // outlives every static: waits happen up to the end of the process
  return *the_one;
}

bool is_main_thread(Registry& r) {
  if (!r.has_thread.load(std::memory_order_acquire)) watch_this_thread();
  return pthread_equal(r.thread, pthread_self()) != 0;
}

const Members* intern(Members members) {
  static std::set<Members>* const all = new std::set<Members>;
  return &*all->insert(std::move(members)).first;
}

/// Members of a communicator, by a memory of handles; MPI is asked once for each.
const Members* members_of(Registry& r, MPI_Comm comm) {
  if (comm == MPI_COMM_NULL) return nullptr;
  if (comm == r.last_comm) return r.last_members;
  auto found = r.known.find(comm);
  if (found == r.known.end()) {
    if (r.job_group == MPI_GROUP_NULL) MPI_Comm_group(MPI_COMM_WORLD, &r.job_group);
    int is_inter = 0, size = 0;
    MPI_Comm_test_inter(comm, &is_inter);
    MPI_Group group;
    is_inter ? MPI_Comm_remote_group(comm, &group) : MPI_Comm_group(comm, &group);
    MPI_Group_size(group, &size);
    Members own(static_cast<std::size_t>(size)), job(own.size());
    for (int k = 0; k < size; ++k) own[static_cast<std::size_t>(k)] = k;
    MPI_Group_translate_ranks(group, size, own.data(), r.job_group, job.data());
    MPI_Group_free(&group);
    found = r.known.emplace(comm, intern(std::move(job))).first;
  }
  r.last_comm = comm;
  r.last_members = found->second;
  return found->second;
}

/// One change by the main thread.
template <class Change>
void write(Registry& r, const Change& change) {
  const std::uint64_t sequence = r.sequence.load(kRelaxed);
  r.sequence.store(sequence + 1, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  change();
  r.sequence.store(sequence + 2, std::memory_order_release);
}

WaitPicture read_once(Registry& r) {
  WaitPicture picture;
  const int depth = std::clamp(r.depth.load(kRelaxed), 0, kDeepest);
  for (int k = 0; k < depth; ++k) {
    const Entry& entry = r.entries[static_cast<std::size_t>(k)];
    std::array<char, 8 * kTextWords + 1> text{};
    for (std::size_t word = 0; word < kTextWords; ++word) {
      const std::uint64_t bytes = entry.text[word].load(kRelaxed);
      std::memcpy(&text[8 * word], &bytes, 8);
    }
    WaitPicture::Wait wait{text.data(), {}, at(entry.since.load(kRelaxed)), entry.own_limit.load(kRelaxed)};
    if (const Members* members = entry.members.load(kRelaxed)) {
      const int peer = entry.peer.load(kRelaxed), own = r.own_rank.load(kRelaxed);
      for (int i = 0; i < static_cast<int>(members->size()); ++i) {
        const int rank = (*members)[static_cast<std::size_t>(i)];
        if (peer >= 0 ? i == peer : rank != own) wait.ranks.push_back(rank);
      }
    }
    picture.waits.push_back(std::move(wait));
  }
  if (const char* did = r.did.load(kRelaxed)) picture.did = did;
  picture.did_number = r.did_number.load(kRelaxed);
  picture.did_at = at(r.did_at.load(kRelaxed));
  picture.moved_at = at(r.moved_at.load(kRelaxed));
  picture.finished = r.finished.load(kRelaxed);
  return picture;
}

}  // namespace

WaitScope::WaitScope(std::string_view what, MPI_Comm comm, int peer, double own_limit) {
  Registry& r = registry();
  counts_ = is_main_thread(r);
  if (!counts_) return;
  const Members* members = members_of(r, comm);
  write(r, [&] {
    const int depth = r.depth.load(kRelaxed);
    const Ticks time = now();
    r.depth.store(depth + 1, kRelaxed);
    if (depth == 0) r.moved_at.store(time, kRelaxed);
    if (depth >= kDeepest) return;
    Entry& entry = r.entries[static_cast<std::size_t>(depth)];
    const std::size_t size = std::min(what.size(), 8 * kTextWords - 1);
    for (std::size_t word = 0; word < kTextWords; ++word) {
      std::uint64_t bytes = 0;
      if (size > 8 * word) std::memcpy(&bytes, what.data() + 8 * word, std::min<std::size_t>(8, size - 8 * word));
      entry.text[word].store(bytes, kRelaxed);
      if (bytes >> 56 == 0) break;  // the text ends in this word
    }
    entry.members.store(members, kRelaxed);
    entry.peer.store(peer, kRelaxed);
    entry.own_limit.store(own_limit, kRelaxed);
    entry.since.store(time, kRelaxed);
  });
}

WaitScope::~WaitScope() {
  if (!counts_) return;
  Registry& r = registry();
  write(r, [&] {
    const int depth = r.depth.load(kRelaxed) - 1;
    r.depth.store(depth, kRelaxed);
    r.finished.store(r.finished.load(kRelaxed) + 1, kRelaxed);
    if (depth == 0) r.moved_at.store(now(), kRelaxed);
  });
}

void sign_of_life(const char* what, std::int64_t number) {
  Registry& r = registry();
  if (is_main_thread(r))
    write(r, [&] {
      const Ticks time = now();
      r.did.store(what, kRelaxed);
      r.did_number.store(number, kRelaxed);
      r.did_at.store(time, kRelaxed);
      r.moved_at.store(time, kRelaxed);
    });
  fault_at(what, number);
}

void watch_this_thread() {
  Registry& r = registry();
  r.thread = pthread_self();
  r.has_thread.store(true, std::memory_order_release);
}

void name_ranks_by(MPI_Comm job) {
  Registry& r = registry();
  if (r.job_group != MPI_GROUP_NULL) MPI_Group_free(&r.job_group);
  MPI_Comm_group(job, &r.job_group);
  int rank = 0;
  MPI_Comm_rank(job, &rank);
  r.own_rank.store(rank, kRelaxed);
  r.known.clear();
  r.last_comm = MPI_COMM_NULL;
}

void forget_communicator(MPI_Comm comm) {
  Registry& r = registry();
  r.known.erase(comm);
  if (r.last_comm == comm) r.last_comm = MPI_COMM_NULL;
}

WaitPicture wait_picture() {
  Registry& r = registry();
  WaitPicture picture;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::uint64_t before = r.sequence.load(std::memory_order_acquire);
    picture = read_once(r);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (before % 2 == 0 && r.sequence.load(kRelaxed) == before) return picture;
  }
  // A main thread that changes scopes faster than they are read gets on: it is between two waits.
  picture.waits.clear();
  return picture;
}

}  // namespace tramontane
