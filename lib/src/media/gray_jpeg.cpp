#include "media/gray_jpeg.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h needs it
#include <new>
#include <utility>

#include <jpeglib.h>

#include "avstore/error.h"

namespace avstore::media {
namespace {

// Of intra blocks by default, in rows (ISO/IEC 11172-2, 2.4.3.2). JPEG states its own matrix in
// each file; libavcodec scales this one.
constexpr std::array<unsigned, DCTSIZE2> kMatrix{8,  16, 19, 22, 26, 27, 29, 34,  //
                                                 16, 16, 22, 24, 27, 29, 34, 37,  //
                                                 19, 22, 26, 27, 29, 34, 34, 38,  //
                                                 22, 22, 26, 27, 29, 34, 37, 40,  //
                                                 22, 26, 27, 29, 32, 35, 40, 48,  //
                                                 26, 27, 29, 32, 35, 40, 48, 58,  //
                                                 26, 27, 29, 34, 38, 46, 56, 69,  //
                                                 27, 29, 35, 38, 46, 56, 69, 83};

// The mean of a block is always as fine as in libavcodec.
std::array<unsigned, DCTSIZE2> matrix_of(int quantizer) {
  std::array<unsigned, DCTSIZE2> matrix{};
  std::transform(kMatrix.begin(), kMatrix.end(), matrix.begin(), [quantizer](unsigned step) {
    return std::min(step * static_cast<unsigned>(quantizer) / 8, 255U);
  });
  matrix[0] = kMatrix[0];
  return matrix;
}

// Compresses one image.
//
// libjpeg is C: it reports an error by a call that must not return, and no exception may pass
// through it. So the call jumps back into run(), which, like all that libjpeg calls, has no local
// object with a destructor that the jump would pass over.
class GrayCompressor {
 public:
  GrayCompressor(const ImageView& image, const GrayJpegOptions& options)
      : image_(image),
        matrix_(matrix_of(options.quantizer)),
        optimal_huffman_(options.optimal_huffman) {
    compress_.err = jpeg_std_error(&errors_);
    compress_.client_data = this;
    errors_.error_exit = [](j_common_ptr common) { self(common).leave(); };
    errors_.output_message = [](j_common_ptr) {};  // not to standard error
    destination_.init_destination = [](j_compress_ptr) {};
    destination_.empty_output_buffer = [](j_compress_ptr compress) -> boolean {
      self(reinterpret_cast<j_common_ptr>(compress)).make_room();
      return TRUE;
    };
    destination_.term_destination = [](j_compress_ptr) {};
  }
  ~GrayCompressor() { jpeg_destroy_compress(&compress_); }
  GrayCompressor(const GrayCompressor&) = delete;
  GrayCompressor& operator=(const GrayCompressor&) = delete;

  // False if it failed; then message() says why, or is empty if there was no memory.
  bool run() noexcept {
    if (setjmp(failed_) != 0) {
      return false;
    }
    jpeg_create_compress(&compress_);
    compress_.dest = &destination_;
    compress_.image_width = static_cast<JDIMENSION>(image_.width);
    compress_.image_height = static_cast<JDIMENSION>(image_.height);
    compress_.input_components = 1;
    compress_.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&compress_);  // baseline, with a JFIF header
    compress_.optimize_coding = optimal_huffman_ ? TRUE : FALSE;
    jpeg_add_quant_table(&compress_, 0, matrix_.data(), 100, TRUE);
    make_room();
    jpeg_start_compress(&compress_, TRUE);
    for (int y = 0; y < image_.height; ++y) {
      auto* row = const_cast<JSAMPROW>(image_.planes[0] + y * image_.strides[0]);
      jpeg_write_scanlines(&compress_, &row, 1);
    }
    jpeg_finish_compress(&compress_);
    return true;
  }

  std::vector<std::uint8_t> take_file() {
    file_.resize(file_.size() - destination_.free_in_buffer);
    return std::move(file_);
  }
  const char* message() const { return message_.data(); }

 private:
  static GrayCompressor& self(j_common_ptr common) {
    return *static_cast<GrayCompressor*>(common->client_data);
  }

  [[noreturn]] void leave() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&compress_), message_.data());
    std::longjmp(failed_, 1);
  }

  // libjpeg calls this when all of the buffer is full.
  void make_room() {
    const std::size_t used = file_.size();
    if (!grow()) {
      std::longjmp(failed_, 1);
    }
    destination_.next_output_byte = file_.data() + used;
    destination_.free_in_buffer = file_.size() - used;
  }

  bool grow() noexcept {
    constexpr std::size_t kFirst = std::size_t{1} << 16;
    try {
      file_.resize(std::max(kFirst, 2 * file_.size()));
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  const ImageView& image_;
  const std::array<unsigned, DCTSIZE2> matrix_;
  const bool optimal_huffman_;
  jpeg_compress_struct compress_{};
  jpeg_error_mgr errors_{};
  jpeg_destination_mgr destination_{};
  std::jmp_buf failed_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
  std::vector<std::uint8_t> file_;
};

}  // namespace

std::vector<std::uint8_t> encode_gray_jpeg(const ImageView& image, const GrayJpegOptions& options,
                                           const std::string& where) {
  GrayCompressor compressor(image, options);
  if (compressor.run()) {
    return compressor.take_file();
  }
  if (*compressor.message() == '\0') {
    throw std::bad_alloc();
  }
  throw Error(ErrorKind::unsupported, where + ": cannot encode the image: " + compressor.message());
}

}  // namespace avstore::media
