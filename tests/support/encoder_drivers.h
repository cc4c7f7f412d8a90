// Encoders of hardware that this machine lacks, and encoders that fail.
//
// libavcodec's calls for encoding, and libavutil's for the memory of devices, are intercepted in
// the whole process. A hardware encoder that is installed here keeps to its contract (its own
// options, pixel formats and memory), and has its packets made by software behind. Outside the life
// of an EncoderDrivers the calls do what libavcodec's do.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace avstore::test {

enum class EncoderCall {
  send,     // a frame is sent
  receive,  // a packet comes out; the failure takes its place
  end,      // the encoder is told that no more frames come
  lose,     // a packet comes out: it gets lost, without an error
};

// While it lives, drivers are as told; there may be one at a time. Encoders are given by their
// libav names; those not mentioned work as they do, or not. From any thread.
class EncoderDrivers {
 public:
  // Trials of hardware may take as long as a busy machine needs.
  EncoderDrivers();
  // Lets hanging drivers go on, and waits until their encoders are closed.
  ~EncoderDrivers();
  EncoderDrivers(const EncoderDrivers&) = delete;
  EncoderDrivers& operator=(const EncoderDrivers&) = delete;

  void install(const std::string& encoder);
  // At most so many may be open at a time.
  void limit_sessions(const std::string& encoder, int count);
  // Opening it does not return. Trials are given up soon.
  void hang(const std::string& encoder);
  // Trials have time again.
  void be_patient();
  // The `nth` call, from 1, on the `session`th encoder opened, from 1, fails. Hardware is tried out
  // in a session of its own first.
  void fail(const std::string& encoder, int session, EncoderCall call, int nth);
  // The only VAAPI encoders there are those that it calls low-power ones.
  void have_low_power_only();

  bool has_failed(const std::string& encoder) const;  // such a call has come
  int opened(const std::string& encoder) const;       // or tried to open
  int open_now(const std::string& encoder) const;
  // Options that the encoder opened last was given, and its input.
  std::map<std::string, std::string> options_of(const std::string& encoder) const;
  std::string pixels_of(const std::string& encoder) const;
  std::vector<std::string> devices() const;  // that were opened

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace avstore::test
