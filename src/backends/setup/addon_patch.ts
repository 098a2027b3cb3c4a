import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../../atomic_file.js';
import { BackendError } from '../../errors.js';

/** Goes up with every change of the patch. */
export const ADDON_REVISION = 4;

/** Stands in a built addon, so that one built before a change of the patch is told from one built after it. */
const ADDON_MARK = `maskrcnn-ts addon ${ADDON_REVISION}`;

/** Our own sources, beside `src` and beside `dist`: they are put beside the binding's. */
const OWN_SOURCES = fileURLToPath(new URL('../../../native/', import.meta.url));

const BINDING = 'binding/tfjs_backend.cc';
const BUILD = 'binding.gyp';

interface Insertion {
  /** The file of tfjs-node that is changed. */
  readonly file: string;
  /** A piece of the original that occurs once. */
  readonly anchor: string;
  /** What is put before it. */
  readonly text: string;
}

/**
 * TensorFlow's fused operations take lists of strings and of types as attributes, which tfjs-node's binding cannot pass; nothing in TensorFlow adds
 * in place and rectifies in one pass over memory, or convolves by Winograd's algorithm on a CPU.
 */
const INSERTIONS: readonly Insertion[] = [
  {
    file: BINDING,
    anchor: '#include "napi_auto_ref.h"\n',
    text: `#include <thread>
#include <vector>
`,
  },
  {
    file: BINDING,
    anchor: '#include "tf_auto_tensor.h"\n',
    text: '#include "operations.h"\n',
  },
  {
    file: BUILD,
    anchor: "      'binding/tfjs_backend.cc',\n",
    text: ['operations', 'optimizer_op', 'winograd_op'].map((name) => `      'binding/${name}.cc',\n`).join(''),
  },
  {
    file: BINDING,
    anchor: '  TFE_DeleteContextOptions(tfe_options);\n',
    text: '  if (tfe_context_ != nullptr) maskrcnn::RegisterOperations(tfe_context_);\n',
  },
  {
    file: BINDING,
    anchor: '      // NOTE: String attribute values do not have to be utf8 encoded strings\n',
    text: `      if (IsArray(env, nstatus, &js_value)) {
        uint32_t count;
        nstatus = napi_get_array_length(env, js_value, &count);
        ENSURE_NAPI_OK(env, nstatus);
        std::vector<std::string> strings(count);
        std::vector<const void *> pointers(count);
        std::vector<size_t> lengths(count);
        for (uint32_t i = 0; i < count; ++i) {
          napi_value element;
          nstatus = napi_get_element(env, js_value, i, &element);
          ENSURE_NAPI_OK(env, nstatus);
          nstatus = GetStringParam(env, element, strings[i]);
          ENSURE_NAPI_OK(env, nstatus);
          pointers[i] = strings[i].data();
          lengths[i] = strings[i].size();
        }
        TFE_OpSetAttrStringList(tfe_op, attr_name, pointers.data(),
                                lengths.data(), static_cast<int>(count));
        break;
      }
`,
  },
  {
    file: BINDING,
    anchor: '      TF_DataType tf_data_type;\n      nstatus = napi_get_value_int32(\n',
    text: `      if (IsArray(env, nstatus, &js_value)) {
        uint32_t count;
        nstatus = napi_get_array_length(env, js_value, &count);
        ENSURE_NAPI_OK(env, nstatus);
        std::vector<TF_DataType> types(count);
        for (uint32_t i = 0; i < count; ++i) {
          napi_value element;
          nstatus = napi_get_element(env, js_value, i, &element);
          ENSURE_NAPI_OK(env, nstatus);
          nstatus = napi_get_value_int32(
              env, element, reinterpret_cast<int32_t *>(&types[i]));
          ENSURE_NAPI_OK(env, nstatus);
        }
        TFE_OpSetAttrTypeList(tfe_op, attr_name, types.data(),
                              static_cast<int>(count));
        break;
      }
`,
  },
  {
    file: BINDING,
    anchor: 'TFJSBackend::TFJSBackend(napi_env env)\n',
    text: `// y = y + addend, or relu of it, in the memory of y. A number that is not one stays so.
static void AddInPlace(float *y, const float *addend, size_t length, bool relu) {
  auto part = [=](size_t from, size_t to) {
    if (relu) {
      for (size_t i = from; i < to; ++i) {
        const float sum = y[i] + addend[i];
        y[i] = sum < 0 ? 0 : sum;
      }
    } else {
      for (size_t i = from; i < to; ++i) y[i] += addend[i];
    }
  };
  const size_t least = 1 << 18;  // A thread costs as much as this many sums.
  const size_t most = std::max(1u, std::min(8u, std::thread::hardware_concurrency()));
  const size_t count = std::max<size_t>(1, std::min(most, length / least));
  std::vector<std::thread> others;
  for (size_t t = 1; t < count; ++t) {
    others.emplace_back(part, length * t / count, length * (t + 1) / count);
  }
  part(0, length / count);
  for (auto &other : others) other.join();
}

`,
  },
  {
    file: BINDING,
    anchor: '  TF_AutoStatus tf_status;\n  TFE_AutoOp tfe_op(TFE_NewOp(tfe_context_, op_name.c_str(), tf_status.status));\n',
    text: `  // "${ADDON_MARK}": changes the first input; there is no output.
  if (op_name == "MaskRcnnAddInPlace" || op_name == "MaskRcnnAddReluInPlace") {
    static const char *const mark = "${ADDON_MARK}";
    TFE_TensorHandle *handles[2];
    float *values[2];
    size_t bytes[2];
    for (uint32_t i = 0; i < 2; ++i) {
      napi_value id_value;
      int32_t id;
      nstatus = napi_get_element(env, input_tensor_ids, i, &id_value);
      ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
      nstatus = napi_get_value_int32(env, id_value, &id);
      ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
      auto entry = tfe_handle_map_.find(id);
      if (is_gpu_device || entry == tfe_handle_map_.end() ||
          TFE_TensorHandleDataType(entry->second) != TF_FLOAT) {
        NAPI_THROW_ERROR(env, "%s: adds float tensors of the CPU", mark);
        return nullptr;
      }
      TF_AutoStatus status;
      handles[i] = entry->second;
      TF_AutoTensor tensor(TFE_TensorHandleResolve(handles[i], status.status));
      ENSURE_TF_OK_RETVAL(env, status, nullptr);
      values[i] = static_cast<float *>(TF_TensorData(tensor.tensor));
      bytes[i] = TF_TensorByteSize(tensor.tensor);
    }
    if (bytes[0] != bytes[1]) {
      NAPI_THROW_ERROR(env, "%s: adds tensors of one size", mark);
      return nullptr;
    }
    AddInPlace(values[0], values[1], bytes[0] / sizeof(float),
               op_name == "MaskRcnnAddReluInPlace");
    napi_value nothing;
    nstatus = napi_create_array_with_length(env, 0, &nothing);
    ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
    return nothing;
  }

`,
  },
];

/** What older revisions inserted and this one puts otherwise: taken out first. */
const FORMER: readonly Insertion[] = [
  { file: BINDING, anchor: '#include "tf_auto_tensor.h"\n', text: '#include "winograd_op.h"\n' },
  { file: BUILD, anchor: "      'binding/tfjs_backend.cc',\n", text: "      'binding/winograd_op.cc',\n" },
];

/**
 * Prepares tfjs-node's sources for {@link ADDON_MARK}; what an earlier run, of this revision or an older one, has inserted is left alone.
 *
 * @throws BackendError where they are not tfjs-node 4.22's.
 */
export async function patchAddonSource(packageFolder: string): Promise<void> {
  for (const name of new Set(INSERTIONS.map((insertion) => insertion.file))) {
    const file = join(packageFolder, name);
    let text = (await readFile(file, 'utf8')).replace(/maskrcnn-ts addon \d+/g, ADDON_MARK);
    for (const insertion of FORMER.filter((former) => former.file === name)) {
      const present = INSERTIONS.find(({ file, anchor }) => file === name && anchor === insertion.anchor)!;
      if (!text.includes(`${present.text}${present.anchor}`))
        text = text.replace(`${insertion.text}${insertion.anchor}`, insertion.anchor);
    }
    for (const { anchor, text: inserted } of INSERTIONS.filter((insertion) => insertion.file === name)) {
      if (text.includes(`${inserted}${anchor}`)) continue;
      const pieces = text.split(anchor);
      if (pieces.length !== 2) {
        throw new BackendError(
          `${file} is not tfjs-node 4.22.0's (expected once: ${anchor.trim().split('\n')[0]}). Reinstall the package, then run \`npx maskrcnn setup\` again.`,
        );
      }
      text = `${pieces[0]}${inserted}${anchor}${pieces[1]}`;
    }
    await writeFileAtomic(file, text);
  }
  for (const name of await readdir(OWN_SOURCES)) {
    await writeFileAtomic(join(packageFolder, 'binding', name), await readFile(join(OWN_SOURCES, name), 'utf8'));
  }
}

/** Whether a built addon carries the present patch. */
export async function isPatchedAddon(file: string): Promise<boolean> {
  return (await readFile(file)).includes(ADDON_MARK);
}
