/// Fields that are copied to the host when somebody looks.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "physics/initial_state.hpp"

namespace tramontane {

/// The source must not change before the last look.
class FieldsOnDemand {
 public:
  explicit FieldsOnDemand(std::function<CellFields()> source) : source_(std::move(source)) {}
  const CellFields& operator*() const {
    if (!fields_) fields_ = source_();
    return *fields_;
  }

 private:
  std::function<CellFields()> source_;
  mutable std::optional<CellFields> fields_;
};

}  // namespace tramontane
