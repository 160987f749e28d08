// No wait without a watch: every call of MPI in the sources is known not to block, or is one that src/mpi_waits.cpp
// turns into a wait; and every file that polls names what it waits for.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "job.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;

/// Local calls, and those that start something and return.
bool returns_at_once(const std::string& name) {
  static const std::regex immediate(
      "I(?!nter)[a-z]+.*|Type_.*|Op_.*|Group_.*|Info_.*|T_.*|Error_.*|Get_.*|.*_c2f|.*_f2c");
  static const std::set<std::string> local = {"Abort",
                                              "Cancel",
                                              "Comm_get_attr",
                                              "Comm_get_parent",
                                              "Comm_group",
                                              "Comm_rank",
                                              "Comm_remote_group",
                                              "Comm_set_errhandler",
                                              "Comm_size",
                                              "Comm_compare",
                                              "Comm_test_inter",
                                              "Finalized",
                                              "Init_thread",
                                              "Query_thread",
                                              "Request_free",
                                              "Test",
                                              "Test_cancelled",
                                              "Testall",
                                              "Testany",
                                              "Testsome",
                                              "Wtime",
                                              "Status_set_elements",
                                              "Comm_set_name",
                                              "Comm_get_name"};
  return std::regex_match(name, immediate) || local.count(name) > 0;
}

/// Of our own folders; text by path relative to the repository.
std::vector<std::pair<std::string, std::string>> sources() {
  std::vector<std::pair<std::string, std::string>> all;
  const fs::path root = TRAMONTANE_SOURCE_DIR;
  for (const char* folder : {"kernels", "physics", "ml", "src"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".cpp" || entry.path().extension() == ".hpp")
        all.emplace_back(fs::relative(entry.path(), root).string(), read_text(entry.path()));
  return all;
}

std::string without_comments(const std::string& text) {
  return std::regex_replace(text, std::regex("//[^\n]*"), "");
}

std::set<std::string> interposed() {
  std::set<std::string> names = {"Finalize", "Comm_free"};  // written out there
  const std::string text = read_text(fs::path(TRAMONTANE_SOURCE_DIR) / "src/mpi_waits.cpp");
  const std::regex row("WATCHED\\(([A-Z][a-z_A-Z]*)");
  for (std::sregex_iterator match(text.begin(), text.end(), row), end; match != end; ++match) names.insert((*match)[1]);
  return names;
}

TEST(Sources, EveryBlockingCallIsWatched) {
  const std::set<std::string> watched = interposed();
  EXPECT_GT(watched.size(), 50u);
  const std::regex call("\\bP?MPI_([A-Z][a-z_A-Z0-9]*)\\s*\\(");
  int calls = 0;
  for (const auto& [file, text] : sources()) {
    if (file == "src/mpi_waits.cpp") continue;
    const std::string code = without_comments(text);
    for (std::sregex_iterator match(code.begin(), code.end(), call), end; match != end; ++match, ++calls) {
      const std::string name = (*match)[1];
      EXPECT_TRUE(returns_at_once(name) || watched.count(name) > 0)
          << file << " calls MPI_" << name << ": add it to src/mpi_waits.cpp, or to the list here if it never waits";
    }
  }
  EXPECT_GT(calls, 100);
}

TEST(Sources, EveryFileThatPollsNamesItsWait) {
  const std::regex polls(
      "MPI_(Test|Testall|Testany|Testsome|Iprobe|Improbe)\\s*\\(|sleep_for|sched_yield|[Bb]ackoff\\b.*pause");
  const std::set<std::string> no_waits = {
      "kernels/fault_injection.cpp",        // the fault itself
      "src/coupled/run_ending.cpp",         // a minute before a process that is being ended ends itself
      "src/coupled/run_snapshot_link.cpp",  // it looks for messages and never waits
      "src/program/job_sockets.cpp",       "src/preflight/storage.cpp", "src/stream/stream_link.hpp",
  };
  for (const auto& [file, text] : sources()) {
    const std::string code = without_comments(text);
    if (no_waits.count(file) || !std::regex_search(code, polls)) continue;
    EXPECT_NE(code.find("WaitScope"), std::string::npos) << file << " polls without a WaitScope";
  }
}

}  // namespace
}  // namespace tramontane::testing
