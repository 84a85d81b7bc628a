#pragma once

// Rows of several measurements of a workload as one profile.

#include <string>

#include "datasets/profile.hpp"
#include "datasets/run_log.hpp"

namespace fewwatt::datasets {

// The profile of a run: its records that are ok, one row per mode. Several records of a mode become one by average(), over those that
// know the quantity: times weighted by repeats, powers by repeats * time where all times are known. repeats is the sum of theirs.
// Throws DataError when no record is ok.
Profile to_profile(const RunRecords& run);

// Puts the run's profile into the file of profiles, which is made when it is not there, by write_profiles().
// Other devices and workloads stay. So do those rows of the same workload whose modes the log lacks; for
// modes in both the log's row replaces the file's, so that folding again changes nothing. The space and the
// attributes are united as in merge_profiles(), with its errors. Two processes that fold into one file at
// once: the later one wins, fold again.
void fold(const RunRecords& run, const std::string& profile_path);
void fold(const std::string& log_path, const std::string& profile_path);

// Throws the DataError that fold() would throw, as far as that is known before the first record.
void check_fold(const RunHeader& header, const std::string& profile_path);

// All profiles of both. Those of the same device and workload become one: modes in both by the rule of
// to_profile(), so that merging a run with itself counts it twice; attributes known in either; levels of
// either, where the space is a grid if both are, else the list of all modes in either. Throws DataError,
// naming `where`, the profile and what differs: kind, time_of, another attribute known in both, the knobs'
// roles or order, the true values of simulated modes, or device attributes; and as validate() does.
ProfileStore merge_profiles(const ProfileStore& a, const ProfileStore& b, const std::string& where);

}  // namespace fewwatt::datasets
