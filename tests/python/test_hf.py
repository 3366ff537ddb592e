"""Top-k attention in transformers: small random models, made here, against sdpa, eager and a dense reference."""

from __future__ import annotations

import copy
import math
import types

import pytest
import torch
from dense_reference import EPSILON, dense_attention, tolerance

from top_k_attention import TopKAttentionConfig

transformers = pytest.importorskip("transformers", minversion="5.0")

from qwen_infer import hf  # noqa: E402

VOCABULARY = 61
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
TOKENS = 24
EVERY = "topk:k=1024"


@pytest.fixture(autouse=True)
def _registered() -> None:
    torch.manual_seed(0)
    hf.register()


def make_model(kind: str = "Qwen3", attention: str = "sdpa", **changes: object) -> transformers.PreTrainedModel:
    """With weights large enough that attention is far from uniform."""
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, "initializer_range": 0.3, **changes})
    return getattr(transformers, f"{kind}ForCausalLM")._from_config(config, attn_implementation=attention).eval()


def with_attention(model: transformers.PreTrainedModel, name: str) -> transformers.PreTrainedModel:
    """A copy of the model."""
    model = copy.deepcopy(model)
    model.set_attn_implementation(name)
    assert model.config._attn_implementation == name
    return model


def tokens(batch: int = 2, length: int = TOKENS) -> torch.Tensor:
    return torch.randint(2, VOCABULARY, (batch, length))


def bound_of(model: transformers.PreTrainedModel, compute: object) -> float:
    """How far results in f32 may be from those of another order of sums: what f32 itself is off, measured with f64.

    Both computations are off by about that, in either direction, which makes two; two again as they are alike in size
    only. One rounding of the largest number is added for where sdpa happens to be exact.
    """
    exact, rounded = compute(copy.deepcopy(model).double()), compute(model)
    return 4 * (rounded - exact).abs().max().item() + EPSILON * exact.abs().max().item()


def logits(model: transformers.PreTrainedModel, ids: torch.Tensor, **arguments: object) -> torch.Tensor:
    with torch.no_grad():
        return model(ids, **arguments).logits


@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3"])
class TestAllKeys:
    """With k of at least n, everything is as with sdpa."""

    def test_forward(self, kind: str) -> None:
        model, ids = make_model(kind), tokens()
        bound = bound_of(model, lambda m: logits(m, ids))
        assert (logits(with_attention(model, EVERY), ids) - logits(model, ids)).abs().max() <= bound

    def test_left_padding(self, kind: str) -> None:
        model, ids = make_model(kind), tokens()
        mask = torch.ones_like(ids)
        mask[0, :7] = 0

        def compute(m: transformers.PreTrainedModel) -> torch.Tensor:
            return logits(m, ids, attention_mask=mask)[mask.bool()]

        assert (compute(with_attention(model, EVERY)) - compute(model)).abs().max() <= bound_of(model, compute)

    @pytest.mark.parametrize("cache", ["dynamic", "static"])
    @pytest.mark.parametrize("padding", [0, 5])
    def test_generate(self, kind: str, cache: str, padding: int) -> None:
        model, ids = make_model(kind), tokens(length=16)
        mask = torch.ones_like(ids)
        mask[0, :padding] = 0
        arguments = {
            "attention_mask": mask,
            "max_new_tokens": 12,
            "do_sample": False,
            "cache_implementation": cache,
            "disable_compile": True,
        }
        expected = model.generate(ids, **arguments)
        assert expected.shape[1] == 28
        assert torch.equal(with_attention(model, EVERY).generate(ids, **arguments), expected)

    def test_caches_continue_a_prompt_in_pieces(self, kind: str) -> None:
        model, ids = make_model(kind), tokens()
        topk = with_attention(model, EVERY)
        bound = bound_of(model, lambda m: logits(m, ids))
        for cache in (
            transformers.DynamicCache(config=model.config),
            transformers.StaticCache(config=model.config, max_cache_len=40),
        ):
            pieces = [
                logits(topk, ids[:, start:end], past_key_values=cache)
                for start, end in ((0, 10), (10, 11), (11, TOKENS))
            ]
            assert (torch.cat(pieces, 1) - logits(model, ids)).abs().max() <= bound

    def test_gradients(self, kind: str) -> None:
        model, ids = make_model(kind), tokens()

        def compute(m: transformers.PreTrainedModel) -> torch.Tensor:
            m.zero_grad()
            m(ids, labels=ids).loss.backward()
            return torch.cat([p.grad.flatten() for p in m.parameters()])

        topk = compute(with_attention(model, EVERY))
        assert (topk - compute(model)).abs().max() <= bound_of(model, compute)


@pytest.mark.parametrize("name", ["topk:k=3", EVERY, "topk:k=2,sinks=1,window=2"])
def test_a_later_token_changes_no_earlier_output(name: str) -> None:
    model, ids = with_attention(make_model(), name), tokens()
    other = ids.clone()
    other[:, 15] = (other[:, 15] + 1) % VOCABULARY
    before, after = logits(model, ids), logits(model, other)
    assert torch.equal(before[:, :15], after[:, :15])
    assert not torch.equal(before[:, 15:], after[:, 15:])


def test_sliding_windows_are_as_the_model_says() -> None:
    layers = ["sliding_attention", "full_attention"]
    model = make_model(sliding_window=5, use_sliding_window=True, layer_types=layers)
    ids = tokens()
    bound = bound_of(model, lambda m: logits(m, ids))
    topk = with_attention(model, EVERY)
    assert (logits(topk, ids) - logits(model, ids)).abs().max() <= bound
    first = hf.stats(topk)["model.layers.0.self_attn"]
    assert first["keys_seen"] == 2 * 4 * sum(min(i + 1, 5) for i in range(TOKENS))
    assert torch.equal(
        topk.generate(ids, max_new_tokens=6, do_sample=False), model.generate(ids, max_new_tokens=6, do_sample=False)
    )


def test_soft_caps_are_those_of_the_model() -> None:
    changes = {"attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 8, "sliding_window": 8}
    model, ids = make_model("Gemma2", "eager", **changes), tokens()
    bound = bound_of(model, lambda m: logits(m, ids))
    assert (logits(with_attention(model, EVERY), ids) - logits(model, ids)).abs().max() <= bound


def test_sink_logits_are_those_of_the_model() -> None:
    changes = {"num_local_experts": 2, "num_experts_per_tok": 1, "experts_implementation": "eager", "sliding_window": 8}
    model, ids = make_model("GptOss", "eager", **changes), tokens()
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.sinks)
    bound = bound_of(model, lambda m: logits(m, ids))
    assert (logits(with_attention(model, EVERY), ids) - logits(model, ids)).abs().max() <= bound


def attention(name: str, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **arguments: object) -> torch.Tensor:
    """The registered function on tensors, [batch, head, token, d]."""
    module = types.SimpleNamespace(is_causal=True)
    mask = arguments.pop("attention_mask", None)
    function = transformers.AttentionInterface()[hf.register(name)]
    return function(module, q, k, v, mask, **arguments)[0].transpose(1, 2)


def qkv(n_query: int = TOKENS, n_key: int = TOKENS, batch: int = 2) -> tuple[torch.Tensor, ...]:
    shapes = ((batch, 4, n_query, 8), (batch, 2, n_key, 8), (batch, 2, n_key, 8))
    return tuple(torch.randn(shape, requires_grad=True) for shape in shapes)


CAUSAL = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the kernel library, and plain torch
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("form", ["none", "bool", "lowest"])
def test_few_keys_are_as_in_a_dense_reference(form: str, softcap: float | None, dtype: torch.dtype) -> None:
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in qkv())
    visible, mask = CAUSAL.expand(2, 1, -1, -1), None
    if form != "none":
        visible = visible.clone()
        visible[0, :, :, :6] = False  # left padding: its first rows see nothing
        mask = visible
    if form == "lowest":  # as for eager attention
        mask = torch.where(visible, 0.0, torch.finfo(torch.float32).min)
    expected = dense_attention(q, k, v, 3, visible=visible, sinks=1, window=2, softcap=softcap or 0.0, scale=0.5)
    out = attention("topk:k=3,sinks=1,window=2", q, k, v, attention_mask=mask, scaling=0.5, softcap=softcap)
    grad = torch.randn_like(out)
    bound = tolerance(q, k, v, grad, scale=0.5)
    want = torch.autograd.grad(torch.nan_to_num(expected.out), (q, k, v), grad.double())
    got = torch.autograd.grad(out, (q, k, v), grad)
    assert (out - expected.out).abs().max() <= bound.out
    for x, y, most in zip(got, want, (bound.q, bound.k, bound.v), strict=True):
        assert (x - y).abs().max() <= most


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_sink_logits_are_in_the_denominator_only(masked: bool, dtype: torch.dtype) -> None:
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in qkv())
    sinks = torch.randn(4, dtype=dtype, requires_grad=True)
    mask = CAUSAL.expand(1, 1, -1, -1) if masked else None
    reference = dense_attention(q, k, v, 3, visible=CAUSAL)
    scores = (q.double() @ k.double().repeat_interleave(2, 1).transpose(2, 3)) / math.sqrt(8)
    kept = scores.masked_fill(~reference.kept, -torch.inf)
    column = sinks.double().view(1, 4, 1, 1).expand(2, 4, TOKENS, 1)
    weights = torch.cat([kept, column], -1).softmax(-1)[..., :-1]
    expected = weights @ v.double().repeat_interleave(2, 1)
    out = attention("topk:k=3", q, k, v, attention_mask=mask, s_aux=sinks)
    grad = torch.randn_like(out)
    bound = tolerance(q, k, v, grad, scale=1 / math.sqrt(8))
    want = torch.autograd.grad(expected, (q, k, v, sinks), grad.double())
    got = torch.autograd.grad(out, (q, k, v, sinks), grad)
    assert (out - expected).abs().max() <= bound.out
    # A sink's gradient is a sum over the rows of its head of gradients of scores, like that of k with |q| = 1.
    top_q = q.detach().abs().max().item() / math.sqrt(8)
    for x, y, most in zip(got, want, (bound.q, bound.k, bound.v, 2 * bound.k / top_q), strict=True):
        assert (x - y).abs().max() <= most


def test_sink_logits_are_no_keys() -> None:
    q, k, v = (x.detach() for x in qkv(1, 512, batch=1))  # with a key more, auto would keep 129
    for dtype in (torch.float32, torch.float64):
        module = torch.nn.Module()
        function = transformers.AttentionInterface()[hf.register("topk:k=auto,mass=exact")]
        function(module, *(x.to(dtype) for x in (q, k, v)), None, s_aux=torch.full((4,), 9.0))
        (counted,) = hf.stats(module).values()
        assert (counted["keys_seen"], counted["keys_kept"]) == (4 * 512, 4 * 128)
        assert 0.25 < counted["mean_mass"] < 1  # of the keys', which the logits, far above all scores, have no part in


def test_half_types_and_one_query_of_a_cache() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        q, k, v = (x.detach().to(dtype) for x in qkv(1, 30))
        out = attention("topk:k=4", q, k, v)
        assert out.dtype == dtype
        expected = dense_attention(q, k, v, 4)  # no mask: one query sees all keys
        bound = tolerance(q, k, v, scale=1 / math.sqrt(8)).out + torch.finfo(dtype).eps * v.abs().max().item()
        assert (out - expected.out).abs().max() <= bound


def test_dropout_acts_in_training_alone() -> None:
    model, ids = with_attention(make_model(attention_dropout=0.5), "topk:k=5"), tokens()
    assert torch.equal(logits(model, ids), logits(model, ids))
    model.train()
    torch.manual_seed(1)
    first = logits(model, ids)
    assert not torch.equal(first, logits(model, ids))
    torch.manual_seed(1)
    assert torch.equal(first, logits(model, ids))


def test_statistics_by_layer() -> None:
    model, ids = with_attention(make_model(), "topk:k=4,sinks=1,mass=exact"), tokens()
    logits(model, ids)
    for report in (found := hf.stats(model)).values():
        assert (report["calls"], report["fallback_calls"], report["rows"]) == (1, 0, 2 * 4 * TOKENS)
        assert report["keys_kept"] == 2 * 4 * sum(min(i + 1, 5) for i in range(TOKENS))
        assert 0 < report["min_mass"] <= report["mean_mass"] <= 1
    assert list(found) == ["model.layers.0.self_attn", "model.layers.1.self_attn"]
    hf.reset_stats(model)
    assert all(report["calls"] == 0 for report in hf.stats(model).values())


def test_settings_after_the_colon_and_defaults() -> None:
    ids, model = tokens(), make_model()
    few = logits(with_attention(model, "topk:k=3"), ids)
    assert not torch.equal(few, logits(model, ids))
    name = hf.register("mine", TopKAttentionConfig(k=3))
    assert torch.equal(logits(with_attention(model, name), ids), few)
    assert torch.equal(logits(with_attention(model, "mine:sinks=0"), ids), few)
    assert torch.equal(logits(with_attention(model, hf.register("mine", k=3)), ids), few)
    assert torch.equal(logits(with_attention(model, "topk: k = 3 , fallback=yes"), ids), few)
    made = type(model)._from_config(copy.deepcopy(model.config), attn_implementation="topk:k=3")
    made.load_state_dict(model.state_dict())
    assert torch.equal(logits(made.eval(), ids), few)
    with pytest.raises(ValueError, match=r"k=100 is more than the 24 keys"):
        logits(with_attention(model, "topk:k=100,fallback=off"), ids)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k=0", r"k=0 must be an integer from 1 to 1073741824"),
        ("k=2.5", r"k='2.5' must be an integer from 1 to 1073741824, or \"auto\""),
        ("k=nan", r"k='nan' must be an integer from 1"),
        ("k=", r"k='' must be an integer from 1"),
        ("budget=3", r"no option 'budget'; the options are k, temperature, sinks, window, min_mass, fallback, mass"),
        ("k=3;sinks=4", r"k='3;sinks=4'"),
        ("k", r"'k' is no setting"),
        ("", r"'' is no setting"),
        ("temperature=nan", r"temperature=nan must be a number from 0.001 to 1000"),
        ("sinks=-1", r"sinks=-1 must be an integer from 0"),
        ("mass=all", r"mass='all' must be one of 'off', 'sampled', 'exact'"),
        ("fallback=maybe", r"fallback='maybe' must be True or False"),
        ("min_mass=1.5", r"min_mass=1.5 must be a number from 0 to 1"),
    ],
)
def test_bad_settings_are_refused_when_the_model_is_made(text: str, message: str) -> None:
    model = make_model()
    with pytest.raises(ValueError, match=message):
        model.set_attn_implementation(f"topk:{text}")
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match=message):
        type(model)._from_config(copy.deepcopy(model.config), attn_implementation=f"topk:{text}")


def test_bad_registrations_are_refused() -> None:
    for name, message in (("sdpa", "none of"), ("a/b", "must begin"), ("", "must begin"), ("my_flash", "flash")):
        with pytest.raises(ValueError, match=message):
            hf.register(name)
    with pytest.raises(TypeError, match=r"name=3 is a int"):
        hf.register(3)
    with pytest.raises(ValueError, match=r"no option 'top_k'; the options are k"):
        hf.register("other", top_k=3)
    with pytest.raises(TypeError, match=r"config is a dict"):
        hf.register("other", {"k": 3})
    assert "other" not in transformers.AttentionInterface()


def test_weights_are_not_returned_and_paged_caches_refused() -> None:
    model, ids = with_attention(make_model(), "topk:k=4"), tokens()
    with pytest.raises(ValueError, match="output_attentions"):
        model.config.output_attentions = True
    assert all(weights is None for weights in model(ids, output_attentions=True).attentions or ())
    with pytest.raises(ValueError, match="paged caches"):
        attention("topk", *qkv(), cache=object())
