// Orders of faults: their grammar, and what does not kill the test.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "kernels/errors.hpp"
#include "kernels/fault_injection.hpp"

namespace tramontane {
namespace {

TEST(FaultOrder, IsRead) {
  const auto orders =
      read_fault_orders("rank=1,at=step:40,do=stop; rank=*, at=frame:3+, do=delay:0.25 ;rank=0,at=x,do=nan");
  ASSERT_EQ(orders.size(), 3u);
  EXPECT_EQ(orders[0].rank, 1);
  EXPECT_EQ(orders[0].place, "step");
  EXPECT_EQ(orders[0].number, 40);
  EXPECT_EQ(orders[0].fault, Fault::stop);
  EXPECT_FALSE(orders[0].and_later);
  EXPECT_EQ(orders[1].rank, -1);
  EXPECT_TRUE(orders[1].and_later);
  EXPECT_EQ(orders[1].argument, 0.25);
  EXPECT_EQ(orders[2].number, -1);
}

TEST(FaultOrder, MeetsItsRankPlaceAndNumber) {
  const FaultOrder one = read_fault_orders("rank=1,at=step:40,do=stop").front();
  EXPECT_TRUE(one.meets(1, "step", 40));
  EXPECT_FALSE(one.meets(0, "step", 40));
  EXPECT_FALSE(one.meets(1, "steps", 40));
  EXPECT_FALSE(one.meets(1, "step", 41));
  const FaultOrder later = read_fault_orders("rank=*,at=step:40+,do=stop").front();
  EXPECT_FALSE(later.meets(7, "step", 39));
  EXPECT_TRUE(later.meets(7, "step", 41));
}

TEST(FaultOrder, RefusesWhatItDoesNotKnow) {
  for (const char* wrong :
       {"at=step:4,do=stop", "rank=1,do=stop", "rank=1,at=step:4", "rank=-1,at=step,do=stop", "rank=x,at=step,do=stop",
        "rank=1,at=step:x,do=stop", "rank=1,at=step:+,do=stop", "rank=1,at=:4,do=stop", "rank=1,at=step:4,do=dance",
        "rank=1,at=step:4,do=delay", "rank=1,at=step:4,do=delay:soon", "rank=1,at=step:4,do=stop,when=now", "nonsense"})
    EXPECT_THROW(read_fault_orders(wrong), InputError) << wrong;
  EXPECT_TRUE(read_fault_orders("").empty());
  EXPECT_TRUE(read_fault_orders(" ; ").empty());
}

/// The orders of a test, taken back at its end.
struct Armed {
  explicit Armed(const char* text) {
    setenv("TRAMONTANE_FAULT", text, 1);
    arm_faults(3);
  }
  ~Armed() {
    unsetenv("TRAMONTANE_FAULT");
    arm_faults(3);
  }
};

TEST(FaultAt, ReturnsWhatThePlaceIsToDo) {
  const Armed armed("rank=3,at=frame:2,do=nan;rank=*,at=frame:5+,do=corrupt;rank=2,at=frame,do=fail");
  EXPECT_EQ(fault_at("frame", 1), Fault::none);
  EXPECT_EQ(fault_at("frame", 2), Fault::nan);
  EXPECT_EQ(fault_at("step", 2), Fault::none);
  EXPECT_EQ(fault_at("frame", 6), Fault::corrupt);
}

TEST(FaultAt, CountsThePassesOfAPlaceWithoutANumber) {
  const Armed armed("rank=3,at=output:3,do=inf;rank=3,at=other:1,do=nan");
  EXPECT_EQ(fault_at("output"), Fault::none);
  EXPECT_EQ(fault_at("other"), Fault::nan);
  EXPECT_EQ(fault_at("output"), Fault::none);
  EXPECT_EQ(fault_at("output"), Fault::inf);
  EXPECT_EQ(fault_at("output"), Fault::none);
}

TEST(FaultAt, SaysOnceThatAnOrderHasStruck) {
  const Armed armed("rank=3,at=frame:5+,do=corrupt");
  ::testing::internal::CaptureStderr();
  for (int frame = 4; frame < 8; ++frame) fault_at("frame", frame);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "fault on order: rank 3 at frame:5: corrupt\n");
}

TEST(FaultAt, WildValuesAreThoseOfTheirOrders) {
  EXPECT_TRUE(std::isnan(wild_value(Fault::nan).value()));
  EXPECT_TRUE(std::isinf(wild_value(Fault::inf).value()));
  EXPECT_FALSE(wild_value(Fault::corrupt));
}

TEST(FaultAt, Delays) {
  const Armed armed("rank=3,at=frame:2,do=delay:0.05");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(fault_at("frame", 2), Fault::none);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
}

TEST(FaultAt, EndsTheProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const Armed armed("rank=3,at=frame:2,do=exit:5");
    fault_at("frame", 2);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

}  // namespace
}  // namespace tramontane
