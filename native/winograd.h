// Convolutions of 3x3, stride 1, with a border of one zero, by Winograd's F(2x2, 3x3): 2.25 times fewer multiplications than by the definition.
// In two steps, each of parts that may run on any thread in any order: TransformFilter for every panel, then ConvolveTiles for every block.

#ifndef MASKRCNN_WINOGRAD_H_
#define MASKRCNN_WINOGRAD_H_

#include <algorithm>
#include <cstddef>

namespace maskrcnn {
namespace {

struct Convolution {
  const float *x;       // [batch, height, width, in]
  const float *filter;  // [3, 3, in, out]; transposed: [3, 3, out, in], turned by half a circle (the gradient for an input)
  const float *bias;    // [out], or null
  const float *addend;  // as y, or null
  float *y;             // [batch, height, width, out]
  size_t batch, height, width, in, out;
  bool relu, transposed;

  // Set by Plan.
  const float *zeros;  // [in]
  size_t panels, tiles, tilesInBlock, outsInBlock;
};

/// Floats in one of the 16 planes of a block. Planes of a multiple of 4096 bytes would all fall into the same few lines of a cache.
inline size_t PlaneFloats(size_t tiles, size_t channels) { return (tiles * channels + 15) / 16 * 16 + 16; }

/// The gradient of such a convolution for its filter: the same transforms, read backwards. In chunks of tiles: TransformTile for every tile, AddTiles
/// for every plane and some input channels, each in any order; after the last chunk FinishFilter for every input channel. The sums do not depend on
/// the number of threads.
struct FilterGradient {
  const float *x;   // [batch, height, width, in]
  const float *dy;  // [batch, height, width, out]
  float *dw;        // [3, 3, in, out]
  size_t batch, height, width, in, out;

  // Set by Plan.
  const float *zeros;  // [max(in, out)]
  size_t panel, panels, tiles, tilesInChunk;

  size_t VPlane() const { return PlaneFloats(tilesInChunk, in); }
  size_t MPlane() const { return PlaneFloats(tilesInChunk, panels * panel); }
  size_t UPlane() const { return PlaneFloats(in, panels * panel); }
};

/// The same for every set of instructions.
struct WinogradKernel {
  size_t panel;  // output channels of a panel
  size_t rows;   // tiles of a block of registers
  void (*transformFilter)(const Convolution &c, size_t panel, float *u);
  void (*convolveTiles)(const Convolution &c, const float *u, size_t first, size_t tiles, float *scratch);
  void (*transformTile)(const FilterGradient &g, size_t tile, size_t t, float *v, float *m);
  void (*addTiles)(const FilterGradient &g, int e, size_t firstIn, size_t ins, size_t tiles, const float *v, const float *m, float *u);
  void (*finishFilter)(const FilterGradient &g, size_t i, const float *u);

  size_t FilterFloats(const Convolution &c) const { return 16 * c.panels * c.in * panel; }
  size_t ScratchFloats(const Convolution &c) const {
    return 16 * (PlaneFloats(c.tilesInBlock, c.in) + PlaneFloats(c.tilesInBlock, c.outsInBlock));
  }
};

#define SET portable
#define WIDTH 4
#define ROWS 6
#include "winograd_kernel.inc"
#undef SET
#undef WIDTH
#undef ROWS

// clang has no such pragma, and a target attribute on a caller comes too late for the vectors inside.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MASKRCNN_X86_SETS

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define SET avx2
#define WIDTH 8
#define ROWS 6
#include "winograd_kernel.inc"
#undef SET
#undef WIDTH
#undef ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#define SET avx512
#define WIDTH 16
#define ROWS 12
#include "winograd_kernel.inc"
#undef SET
#undef WIDTH
#undef ROWS
#pragma GCC pop_options
#endif

#define MASKRCNN_KERNEL(set, rows) \
  {set::kPanel, rows, set::TransformFilter, set::ConvolveTiles, set::TransformTile, set::AddTiles, set::FinishFilter}

inline const WinogradKernel &PortableKernel() {
  static const WinogradKernel kernel = MASKRCNN_KERNEL(portable, 6);
  return kernel;
}

/// The widest that this processor can run.
inline const WinogradKernel &BestKernel() {
#ifdef MASKRCNN_X86_SETS
  static const WinogradKernel wide = MASKRCNN_KERNEL(avx2, 6);
  static const WinogradKernel wider = MASKRCNN_KERNEL(avx512, 12);
  if (__builtin_cpu_supports("avx512f")) return wider;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return wide;
#endif
  return PortableKernel();
}

/// Divides the work into blocks of one size, so that the threads end together. Returns how many threads have something to do.
inline size_t Plan(const WinogradKernel &kernel, size_t threads, Convolution *c) {
  c->tiles = c->batch * ((c->height + 1) / 2) * ((c->width + 1) / 2);
  c->panels = (c->out + kernel.panel - 1) / kernel.panel;
  c->outsInBlock = std::min<size_t>(64, c->panels * kernel.panel);
  const size_t largest = std::max<size_t>(24, std::min<size_t>(96, 12288 / c->in));
  const size_t rounds = (c->tiles + threads * largest - 1) / (threads * largest);
  const size_t even = (c->tiles + threads * rounds - 1) / (threads * rounds);
  c->tilesInBlock = std::max<size_t>(1, (even + kernel.rows - 1) / kernel.rows) * kernel.rows;
  return std::min(threads, (c->tiles + c->tilesInBlock - 1) / c->tilesInBlock);
}

/// Floats of both transforms of a chunk; they stay in the cache that the cores share.
const size_t kChunkFloats = 1 << 20;
/// Input channels of a part of AddTiles: for some tiles they fit beside a panel into the innermost cache.
const size_t kInsOfPart = 48;

inline void Plan(const WinogradKernel &kernel, FilterGradient *g) {
  g->tiles = g->batch * ((g->height + 1) / 2) * ((g->width + 1) / 2);
  g->panel = kernel.panel;
  g->panels = (g->out + kernel.panel - 1) / kernel.panel;
  const size_t fitting = kChunkFloats / (16 * (g->in + g->panels * g->panel));
  g->tilesInChunk = std::min(g->tiles, std::max<size_t>(64, fitting));
}

}  // namespace
}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_H_
