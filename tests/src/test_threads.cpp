// A rank's share of the processors.
#include <gtest/gtest.h>

#include "src/program/threads.hpp"

namespace tramontane {
namespace {

TEST(Threads, AreTheRanksShareOfTheNode) {
  EXPECT_EQ(fair_threads(16, 16, 1), 16);  // alone
  EXPECT_EQ(fair_threads(16, 16, 5), 3);   // unbound
  EXPECT_EQ(fair_threads(1, 16, 4), 1);    // bound to a core
  EXPECT_EQ(fair_threads(8, 16, 4), 4);    // bound to a socket that it shares
  EXPECT_EQ(fair_threads(2, 2, 3), 1);     // more ranks than processors
}

}  // namespace
}  // namespace tramontane
