// What is saved when the watchdog ends the job.
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "job.hpp"
#include "src/program/emergency.hpp"

namespace tramontane::testing {
namespace {

std::shared_ptr<const std::vector<std::byte>> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

TEST(Emergency, WritesTheLastContentThen) {
  const Scratch scratch("emergency");
  EmergencyFile file(scratch / "model.h5");
  EXPECT_TRUE(save_in_emergency().empty());
  file.keep(bytes_of("first"), "the weights of step 1");
  file.keep(bytes_of("second"), "the weights of step 2");
  EXPECT_FALSE(std::filesystem::exists(scratch / "model.h5"));
  EXPECT_EQ(save_in_emergency(), std::vector<std::string>{"the weights of step 2 in " + (scratch / "model.h5")});
  EXPECT_EQ(read_text(scratch / "model.h5"), "second");
  file.keep(nullptr, "");
  EXPECT_TRUE(save_in_emergency().empty());
}

TEST(Emergency, RunsInOrderWhileRegisteredAndReportsErrors) {
  std::vector<std::string> said;
  {
    const EmergencySave one([] { return std::string("one"); });
    const EmergencySave two([]() -> std::string { throw std::runtime_error("no"); });
    const EmergencySave three([] { return std::string("three"); });
    said = save_in_emergency();
  }
  EXPECT_EQ(said, (std::vector<std::string>{"one", "not saved: no", "three"}));
  EXPECT_TRUE(save_in_emergency().empty());
}

TEST(Emergency, AFolderThatIsGoneIsReportedAndLeavesNothing) {
  const Scratch scratch("emergency-gone");
  EmergencyFile file(scratch / "no-folder/model.h5");
  file.keep(bytes_of("x"), "weights");
  const std::vector<std::string> said = save_in_emergency();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("could not be written (No such file or directory)"), std::string::npos) << said[0];
}

}  // namespace
}  // namespace tramontane::testing
