#pragma once

// For the sources that call the HDF5 library.

#include <hdf5.h>

#include <utility>

namespace fewwatt::datasets {

// As long as it exists, HDF5 does not print its own error stack.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

// An HDF5 identifier that is closed at the end.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}  // takes over `id`; below 0 for none
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  // Takes over the identifier of `other`, which has none afterwards.
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }  // for calls of the library
  bool ok() const { return id_ >= 0; }    // whether there is one

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// What values of a type are, for messages.
inline const char* class_name(H5T_class_t type) {
  switch (type) {
    case H5T_INTEGER:
      return "integers";
    case H5T_FLOAT:
      return "floating-point numbers";
    case H5T_STRING:
      return "text";
    default:
      return "another type";
  }
}

}  // namespace fewwatt::datasets
